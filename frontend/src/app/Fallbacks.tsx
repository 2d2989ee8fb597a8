import { Box, Button, Skeleton } from "@mui/material";
import { type ErrorComponentProps } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import { EmptyState, FramesArt } from "@/ui/EmptyState";
import { ErrorNote } from "@/ui/ErrorNote";
import { ButtonLink } from "@/ui/links";

export function NotFoundPage() {
  const { t } = useTranslation();
  return (
    <EmptyState art={<FramesArt />} title={t("shell.notFoundTitle")} text={t("shell.notFoundText")}>
      <ButtonLink variant="contained" to="/">{t("shell.goGenerate")}</ButtonLink>
    </EmptyState>
  );
}

/** A page that throws takes nothing else with it: rail and top bar stay. */
export function CrashPage({ error, reset }: ErrorComponentProps) {
  const { t } = useTranslation();
  const details = error instanceof Error ? `${error.message}\n${error.stack ?? ""}` : String(error);
  return (
    <Box sx={{ maxWidth: 640 }}>
      <ErrorNote title={t("shell.crashTitle")} error={{ message: t("shell.crashText") }} details={details} onRetry={reset}>
        <Button size="small" color="inherit" variant="outlined" onClick={() => location.reload()}>{t("shell.reload")}</Button>
      </ErrorNote>
    </Box>
  );
}

export function LoadingPage() {
  return (
    <Box aria-busy sx={{ display: "grid", gap: 4 }}>
      <Skeleton variant="rectangular" width={160} height={28} />
      <Skeleton variant="rectangular" height={180} />
    </Box>
  );
}
