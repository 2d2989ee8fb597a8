import { Box, IconButton, InputBase, Tooltip, Typography } from "@mui/material";
import { Dices } from "lucide-react";
import { useId, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { randomSeed } from "@/lib/browser";
import { FieldNote, useDraft } from "@/ui/NumberField";

import { seedOf } from "./settings";

interface Props {
  label: string;
  /** Null: a new one each time. NaN: something was typed that is none. */
  value: number | null;
  error?: string;
  hint?: string;
  onChange: (value: number | null) => void;
  /** Beside the die. */
  children?: ReactNode;
}

/** A seed, typed or rolled; empty for a new one each time. */
export function SeedInput({ label, value, error, hint, onChange, children }: Props) {
  const { t } = useTranslation();
  const id = useId();
  const draft = useDraft(value);
  return (
    <Box>
      <Typography component="label" htmlFor={id} variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{label}</Typography>
      <Box sx={{ display: "flex", gap: 1 }}>
        <InputBase
          id={id}
          value={draft.text}
          placeholder={t("generate.seedRandom")}
          onChange={(event) => onChange(draft.keep(event.target.value, seedOf(event.target.value)))}
          onBlur={draft.settle}
          inputProps={{ inputMode: "numeric", "aria-invalid": !!error, "aria-describedby": `${id}-note` }}
          sx={{ flex: 1, border: 1, borderColor: error ? "error.main" : "divider", borderRadius: "8px", px: 3, height: 36, bgcolor: "background.raised", fontSize: 13, fontFamily: '"JetBrains Mono Variable", monospace', "&.Mui-focused": { borderColor: error ? "error.main" : "text.secondary" }, "& input:focus-visible": { outline: "none" } }}
        />
        {children}
        <Tooltip title={t("generate.seedDice")}>
          <IconButton aria-label={t("generate.seedDice")} onClick={() => onChange(randomSeed())} sx={{ width: 36 }}><Dices size={17} /></IconButton>
        </Tooltip>
      </Box>
      <FieldNote id={`${id}-note`} error={error} hint={hint} />
    </Box>
  );
}
