import { Box, Button, Checkbox, ListItemText, MenuItem, Select, Typography } from "@mui/material";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import * as api from "@/api/generated/sdk.gen";
import { keys } from "@/api/keys";
import { queries } from "@/api/queries";
import { answering, usable } from "@/lib/answering";
import { goalIn, levelsIn } from "@/lib/levels";
import { isAddition } from "@/lib/models";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field } from "@/ui/Field";
import { card } from "@/ui/Section";

const LIMITS = { requests: [1, 2000], prompt: [8, 32_768], answer: [1, 8192], rounds: [1, 20] } as const;
const GOALS = ["ttftGoal", "tpotGoal"] as const;
type Amount = keyof typeof LIMITS;

/** What to measure: models, levels, sizes. */
export function NewBenchmark({ onBegun }: { onBegun: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const label = useId();
  const list = useQuery(queries.models());
  const all = list.data ?? [];
  const models = answering(all).filter(usable);
  const first = models.find((model) => !isAddition(model));
  const [chosen, setChosen] = useState<string[] | null>(null);
  const [form, setForm] = useState({ levels: "1, 2, 4, 8", requests: "16", prompt: "128", answer: "64", rounds: "1", ttftGoal: "", tpotGoal: "", name: "" });
  const picked = chosen ?? (first ? [first.key] : []);
  const levels = levelsIn(form.levels);
  const wrong = (amount: Amount) => {
    const value = Number(form[amount]);
    const [least, most] = LIMITS[amount];
    return Number.isInteger(value) && value >= least && value <= most ? undefined : t("benchmark.between", { least, most });
  };
  const start = useMutation({
    mutationFn: () => api.createBenchmark({ body: { models: picked, concurrency: levels ?? [1], requests: Number(form.requests), prompt_tokens: Number(form.prompt), output_tokens: Number(form.answer), rounds: Number(form.rounds), ttft_goal_ms: goalIn(form.ttftGoal), tpot_goal_ms: goalIn(form.tpotGoal), seed: Math.floor(Math.random() * 2 ** 31), name: form.name.trim() } }),
    onSuccess: () => {
      onBegun();
      void client.invalidateQueries({ queryKey: keys.benchmarks });
    },
  });
  const set = (field: keyof typeof form) => (value: string) => setForm((old) => ({ ...old, [field]: value }));
  const ready = picked.length > 0 && levels !== null && !wrong("requests") && !wrong("prompt") && !wrong("answer") && !wrong("rounds") && GOALS.every((goal) => goalIn(form[goal]) !== undefined);
  const problem = start.isError ? asProblem(start.error) : null;
  const none = list.isSuccess && models.length === 0;
  return (
    <Box component="form" aria-label={t("benchmark.new")} onSubmit={(event) => { event.preventDefault(); if (ready && !start.isPending) start.mutate(); }} sx={{ ...card, p: 4, display: "grid", gap: 4, gridTemplateColumns: "minmax(0, 1fr)" }}>
      <Box sx={{ display: "grid", gap: 3, alignItems: "start", gridTemplateColumns: { xs: "repeat(2, minmax(0, 1fr))", lg: "minmax(200px, 2fr) minmax(140px, 1.2fr) repeat(3, minmax(96px, 0.8fr)) minmax(140px, 1.2fr)" } }}>
        <Box sx={{ minWidth: 0, gridColumn: { xs: "1 / -1", lg: "auto" } }}>
          <Typography id={label} variant="overline" component="div" sx={{ color: "text.secondary", mb: 1 }}>{t("benchmark.models")}</Typography>
          <Select multiple fullWidth size="small" labelId={label} value={picked} disabled={none} onChange={(event) => setChosen([event.target.value].flat())} renderValue={(keysOf) => keysOf.join(", ")}>
            {models.map((model) => <MenuItem key={model.key} value={model.key} dense><Checkbox size="small" checked={picked.includes(model.key)} tabIndex={-1} /><ListItemText primary={model.name} secondary={model.answers_with ? t("chat.loraOf", { model: all.find((base) => base.key === model.answers_with)?.name ?? model.answers_with }) : undefined} /></MenuItem>)}
          </Select>
        </Box>
        <Field label={t("benchmark.levels")} value={form.levels} onChange={set("levels")} mono error={levels ? undefined : t("benchmark.levelsHint")} />
        <Field label={t("benchmark.requests")} value={form.requests} onChange={set("requests")} mono error={wrong("requests")} />
        <Field label={t("benchmark.prompt")} value={form.prompt} onChange={set("prompt")} mono error={wrong("prompt")} />
        <Field label={t("benchmark.answer")} value={form.answer} onChange={set("answer")} mono error={wrong("answer")} />
        <Field label={t("benchmark.name")} value={form.name} onChange={(value) => set("name")(value.slice(0, 100))} />
      </Box>
      <Box sx={{ display: "grid", gap: 3, alignItems: "start", gridTemplateColumns: { xs: "repeat(2, minmax(0, 1fr))", sm: "repeat(3, minmax(0, 200px)) 1fr" } }}>
        <Field label={t("benchmark.rounds")} value={form.rounds} onChange={set("rounds")} mono error={wrong("rounds")} />
        {GOALS.map((goal) => <Field key={goal} label={t(`benchmark.${goal}`)} value={form[goal]} onChange={set(goal)} mono placeholder={t("benchmark.anyTime")} error={goalIn(form[goal]) === undefined ? t("benchmark.between", { least: 1, most: 3_600_000 }) : undefined} />)}
        <Button type="submit" variant="contained" disabled={!ready || start.isPending} sx={{ mt: { sm: "21px" }, minHeight: 38, gridColumn: { xs: "1 / -1", sm: "auto" }, justifySelf: { sm: "end" } }}>{t("benchmark.start")}</Button>
      </Box>
      {none && <Typography variant="body2" sx={{ color: "text.secondary" }}>{t("benchmark.noModels")}</Typography>}
      {problem && <ErrorNote title={t("benchmark.refused")} error={problem} details={problem.details} />}
    </Box>
  );
}
