import { Box, Button, Collapse, Typography } from "@mui/material";
import { CircleCheck, CircleDashed, CircleX, LoaderCircle } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { useBuildEnvironment } from "@/api/actions";
import type { EnvironmentOut } from "@/api/types";
import { useSaid } from "@/i18n/said";
import { percent } from "@/lib/numbers";
import { Bar } from "@/ui/Bar";
import { ErrorNote } from "@/ui/ErrorNote";
import { card } from "@/ui/Section";
import { ButtonLink } from "@/ui/links";

const LOOKS = { missing: [CircleDashed, "text.faint"], building: [LoaderCircle, "primary.main"], ready: [CircleCheck, "success.main"], failed: [CircleX, "error.main"] } as const;

export function EnvironmentCard({ environment }: { environment: EnvironmentOut }) {
  const { t, i18n } = useTranslation();
  const said = useSaid();
  const [open, setOpen] = useState(false);
  const build = useBuildEnvironment();
  const [Icon, colour] = LOOKS[environment.state];
  const packages = Object.entries(environment.packages ?? {});
  const building = environment.state === "building";
  const order = () => build.mutate(environment.name);
  return (
    <Box data-environment={environment.name} data-state={environment.state} sx={{ ...card, p: 4, minWidth: 0, alignSelf: "start" }}>
      <Box sx={{ display: "flex", alignItems: "center", gap: 3 }}>
        <Typography variant="h4" component="h3">{environment.name}</Typography>
        <Box component="span" sx={{ display: "inline-flex", alignItems: "center", gap: "6px", color: colour, fontSize: 13, fontWeight: 550 }}><Icon size={15} aria-hidden />{t(`system.environmentStates.${environment.state}`)}</Box>
        <Typography variant="mono" sx={{ ml: "auto", color: "text.faint" }}>{environment.hash.slice(0, 8)}</Typography>
      </Box>
      {building && (
        <Box sx={{ mt: 3 }}>
          <Bar value={environment.fraction} label={environment.name} />
          <Typography variant="body2" sx={{ color: "text.secondary", mt: 2 }}>{[environment.fraction !== null && percent(environment.fraction, i18n.language), said(environment).text].filter(Boolean).join(" · ")}</Typography>
        </Box>
      )}
      {environment.error && environment.state === "failed" && (
        <Box sx={{ mt: 3 }}>
          <ErrorNote title={t("system.environmentStates.failed")} error={environment.error} details={[`${environment.error.code}: ${environment.error.message}`, environment.error.log_tail].filter(Boolean).join("\n")} onRetry={order} retrying={build.isPending} />
        </Box>
      )}
      <Box sx={{ display: "flex", gap: 2, mt: 2, alignItems: "center", "&:empty": { display: "none" } }}>
        {environment.state === "missing" && <Button size="small" variant="contained" onClick={order} disabled={build.isPending} sx={{ mt: 1 }}>{t("system.build")}</Button>}
        {packages.length > 0 && <Button size="small" color="inherit" aria-expanded={open} onClick={() => setOpen(!open)} sx={{ ml: -2 }}>{t("system.packages", { count: packages.length })}</Button>}
        {building && environment.job_id && <ButtonLink size="small" color="inherit" to="/jobs/$id" params={{ id: environment.job_id }} sx={{ ml: -2 }}>{t("system.seeJob")}</ButtonLink>}
      </Box>
      <Collapse in={open} unmountOnExit>
        <Box component="ul" sx={{ m: 0, mt: 2, p: 0, listStyle: "none", display: "grid", gridTemplateColumns: "repeat(auto-fill, minmax(180px, 1fr))", columnGap: 4, rowGap: 1, maxHeight: 260, overflow: "auto" }}>
          {packages.map(([name, version]) => (
            <Box component="li" key={name} sx={{ display: "flex", justifyContent: "space-between", gap: 2, minWidth: 0 }}>
              <Typography variant="mono" noWrap>{name}</Typography>
              <Typography variant="mono" sx={{ color: "text.faint" }}>{version}</Typography>
            </Box>
          ))}
        </Box>
      </Collapse>
    </Box>
  );
}
