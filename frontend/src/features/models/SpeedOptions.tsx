import { Box, Button, Checkbox, FormControlLabel, MenuItem, Select, Typography } from "@mui/material";
import { ChevronDown } from "lucide-react";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";

import { ATTENTIONS, OFFLOADS, QUALITIES, QUANTIZATIONS, SWITCHES, type Speed } from "./loading";

const CHOICES = { quality: QUALITIES, quantization: QUANTIZATIONS, attention: ATTENTIONS, offload: OFFLOADS, share_batches: ["auto", "never"] } as const;

/** Called the same in every language. */
const NAMES = { int8: "int8", fp8: "fp8", flash: "Flash", xformers: "xFormers", sage: "Sage" } as const;
const isName = (value: string): value is keyof typeof NAMES => value in NAMES;

/** What makes a model that draws faster or smaller. Folded away, unless something is set already. */
export function SpeedOptions({ speed, onChange }: { speed: Speed; onChange: (speed: Speed) => void }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(Object.keys(speed).length > 0);
  const id = useId();
  const put = (change: Partial<Speed>) => onChange(Object.fromEntries(Object.entries({ ...speed, ...change }).filter(([, value]) => value !== undefined)));
  return (
    <Box>
      <Button size="small" color="inherit" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)} endIcon={<ChevronDown size={14} style={{ transform: open ? "rotate(180deg)" : undefined }} aria-hidden />} sx={{ px: 2, ml: -2 }}>
        {t("models.speed.title")}
      </Button>
      {open && (
        <Box id={id} sx={{ display: "grid", gap: 3, mt: 2, alignItems: "end", gridTemplateColumns: { xs: "minmax(0, 1fr)", sm: "minmax(0, 1fr) minmax(0, 1fr)" } }}>
          {(Object.keys(CHOICES) as (keyof typeof CHOICES)[]).map((name) => (
            <Box key={name}>
              <Typography variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{t(`models.speed.${name}`)}</Typography>
              <Select size="small" fullWidth displayEmpty value={speed[name] ?? ""} inputProps={{ "aria-label": t(`models.speed.${name}`) }} onChange={(event) => put({ [name]: event.target.value || undefined })}>
                <MenuItem value="">{t("models.speed.unset")}</MenuItem>
                {CHOICES[name].map((value) => <MenuItem key={value} value={value}>{isName(value) ? NAMES[value] : t(`models.speed.values.${value}`)}</MenuItem>)}
              </Select>
            </Box>
          ))}
          <Box sx={{ gridColumn: "1 / -1", display: "flex", flexWrap: "wrap", columnGap: 3 }}>
            {SWITCHES.map((name) => (
              <FormControlLabel key={name} control={<Checkbox size="small" checked={!!speed[name]} onChange={(_, checked) => put({ [name]: checked || undefined })} />} label={<Typography variant="body2">{t(`models.speed.${name}`)}</Typography>} />
            ))}
          </Box>
          <Typography variant="caption" sx={{ gridColumn: "1 / -1", color: "text.faint" }}>{t("models.speed.hint")}</Typography>
        </Box>
      )}
    </Box>
  );
}
