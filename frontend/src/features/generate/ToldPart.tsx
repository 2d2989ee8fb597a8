import { Box, Button, Typography } from "@mui/material";
import { ScrollText } from "lucide-react";
import { useTranslation } from "react-i18next";

import type { SettingsOut } from "@/api/types";

import { clearSource } from "./source";
import { take } from "./told";

/** A file that says how it was made: offer that, beside starting from it. */
export function ToldPart({ found }: { found: SettingsOut }) {
  const { t } = useTranslation();
  const lacking = found.missing.flatMap(({ kind, name }) => (kind === "image" ? [] : [`${t(`task.told.kinds.${kind}`)} ${name}`]));
  return (
    <Box role="status" sx={{ display: "flex", gap: 3, alignItems: "flex-start", border: 1, borderColor: "divider", borderRadius: "8px", p: 3 }}>
      <Box component={ScrollText} size={17} aria-hidden sx={{ flexShrink: 0, mt: "2px", color: "text.secondary" }} />
      <Box sx={{ flex: 1, minWidth: 0 }}>
        <Typography variant="body2">{t("task.told.about")}</Typography>
        {lacking.length > 0 && <Typography variant="caption" component="p" sx={{ color: "warning.main", mt: 1 }}>{t("task.told.missing", { names: lacking.join(", ") })}</Typography>}
        <Button
          size="small"
          variant="outlined"
          color="inherit"
          sx={{ mt: 2 }}
          onClick={() => {
            clearSource();
            take(found);
          }}
        >
          {t("task.told.use")}
        </Button>
      </Box>
    </Box>
  );
}
