import { Box, ButtonBase, Typography } from "@mui/material";
import { MessagesSquare } from "lucide-react";
import { useTranslation } from "react-i18next";

import { EmptyState } from "@/ui/EmptyState";
import { ButtonLink } from "@/ui/links";

/** A conversation that has not begun: what one can ask, or that there is no model to ask yet. */
export function Beginning({ any, onExample }: { any: boolean; onExample: (words: string) => void }) {
  const { t } = useTranslation();
  if (!any)
    return (
      <EmptyState art={<MessagesSquare size={44} strokeWidth={1.3} aria-hidden />} title={t("chat.noModelsTitle")} text={t("chat.noModelsText")}>
        <ButtonLink to="/models" search={{ add: "hub", task: "chat" }} variant="contained">{t("chat.moreModels")}</ButtonLink>
      </EmptyState>
    );
  const examples = Object.values(t("chat.examples", { returnObjects: true }));
  return (
    <EmptyState art={<MessagesSquare size={44} strokeWidth={1.3} aria-hidden />} title={t("chat.emptyTitle")} text={t("chat.emptyText")}>
      <Box sx={{ display: "grid", gap: 2, width: "min(480px, 100%)" }}>
        {examples.map((words) => (
          <ButtonBase key={words} onClick={() => onExample(words)} sx={{ justifyContent: "flex-start", textAlign: "left", px: 4, py: 3, border: 1, borderColor: "divider", borderRadius: "10px", bgcolor: "background.paper", fontFamily: "inherit", "&:hover": { borderColor: "text.disabled" }, "&.Mui-focusVisible": { outline: "2px solid", outlineColor: "primary.main" } }}>
            <Typography sx={{ color: "text.secondary" }}>{words}</Typography>
          </ButtonBase>
        ))}
      </Box>
    </EmptyState>
  );
}
