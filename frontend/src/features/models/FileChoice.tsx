import { Box, FormControl, FormControlLabel, FormLabel, Radio, RadioGroup, Typography } from "@mui/material";
import { useTranslation } from "react-i18next";

import type { HubPlanOut } from "@/api/types";
import { bytes } from "@/lib/numbers";
import { card } from "@/ui/Section";
import { TextLink } from "@/ui/links";

/** Which of the models of one file each that a repository holds. */
export function FileChoice({ choices, file, onPick }: { choices: HubPlanOut["choices"]; file: string; onPick: (file: string) => void }) {
  const { t, i18n } = useTranslation();
  return (
    <FormControl sx={{ ...card, p: 4, minWidth: 0 }}>
      <FormLabel id="hub-file" sx={{ fontSize: 13, fontWeight: 550, mb: 1, "&, &.Mui-focused": { color: "text.primary" } }}>{t("models.plan.whichFile", { count: choices.length })}</FormLabel>
      <RadioGroup aria-labelledby="hub-file" value={file} onChange={(_, next) => onPick(next)} sx={{ maxHeight: 240, overflow: "auto", flexWrap: "nowrap" }}>
        {choices.map((choice) => (
          <Box key={choice.path} sx={{ display: "flex", alignItems: "center", gap: 3 }}>
            <FormControlLabel
              value={choice.path} disabled={!!choice.key} control={<Radio size="small" />} sx={{ flex: 1, minWidth: 0, mr: 0, minHeight: 40 }}
              label={<Typography variant="mono" sx={{ overflowWrap: "anywhere" }}>{choice.path}</Typography>}
            />
            {choice.key && <TextLink to="/models/$key" params={{ key: choice.key }}>{t("models.plan.present")}</TextLink>}
            <Typography variant="mono" sx={{ color: "text.faint", whiteSpace: "nowrap" }}>{bytes(choice.size_bytes, i18n.language)}</Typography>
          </Box>
        ))}
      </RadioGroup>
    </FormControl>
  );
}
