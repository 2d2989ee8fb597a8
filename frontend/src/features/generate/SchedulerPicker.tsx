import { Autocomplete, Box, TextField, Typography } from "@mui/material";
import { useQuery } from "@tanstack/react-query";
import { useId } from "react";
import { useTranslation } from "react-i18next";

import { queries } from "@/api/queries";
import type { ModelOut, SchedulerOut } from "@/api/types";
import { FieldNote } from "@/ui/NumberField";

/** Found by typing, in groups of one sampler with its schedules; empty is the model's own, or what `otherwise` says. */
export function SchedulerPicker({ label, otherwise, value, model, error, onChange }: { label: string; otherwise?: string; value: string | null; model: ModelOut | undefined; error?: string; onChange: (id: string | null) => void }) {
  const { t } = useTranslation();
  const all = useQuery(queries.schedulers()).data ?? [];
  const id = useId();
  const own = all.find((one) => one.id === model?.defaults?.scheduler)?.name;
  const fitting = all.filter((one) => one.kind === (model?.sampling ?? "noise"));
  return (
    <Box>
      <Typography component="label" htmlFor={id} variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{label}</Typography>
      <Autocomplete<SchedulerOut>
        id={id}
        size="small"
        options={fitting}
        value={all.find((one) => one.id === value) ?? null}
        groupBy={(one) => one.sampler}
        getOptionLabel={(one) => one.name}
        getOptionKey={(one) => one.id}
        isOptionEqualToValue={(one, other) => one.id === other.id}
        noOptionsText={t("generate.schedulerNoMatch")}
        clearText={otherwise ?? t("generate.schedulerDefault")}
        onChange={(_, one) => onChange(one?.id ?? null)}
        renderInput={(params) => <TextField {...params} error={!!error} placeholder={otherwise ?? [t("generate.schedulerDefault"), own && `(${own})`].filter(Boolean).join(" ")} />}
      />
      <FieldNote error={error} />
    </Box>
  );
}
