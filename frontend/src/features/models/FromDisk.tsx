import { Box, Button, Typography } from "@mui/material";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import { keys } from "@/api/keys";
import * as api from "@/api/generated/sdk.gen";
import { toast } from "@/lib/toast";
import { useSaid } from "@/i18n/said";
import { ErrorNote } from "@/ui/ErrorNote";

import { Field } from "@/ui/Field";

const KEY = /^[a-z0-9][a-z0-9._-]{0,99}$/;

/** A folder or file on the server's disk; it stays where it is. */
export function FromDisk({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const words = useSaid();
  const go = useNavigate();
  const [form, setForm] = useState({ path: "", key: "", name: "" });
  const set = (field: keyof typeof form) => (value: string) => {
    setForm((old) => ({ ...old, [field]: value }));
    take.reset();
  };
  const take = useMutation({
    mutationFn: () => api.importModel({ body: { path: form.path.trim(), key: form.key.trim() || undefined, name: form.name.trim() || undefined } }),
    onSuccess: (model) => {
      void client.invalidateQueries({ queryKey: keys.allModels });
      toast(t("models.fromDisk.done", { name: model.name }));
      onDone();
      void go({ to: "/models/$key", params: { key: model.key } });
    },
  });
  const problem = take.isError ? asProblem(take.error) : null;
  const said = Object.fromEntries((problem?.fields ?? []).map((each) => [each.field, words(each).text]));
  const path = form.path.trim();
  const errors = { path: said.path ?? (path && !path.startsWith("/") ? t("models.fromDisk.absolute") : undefined), key: said.key ?? (form.key && !KEY.test(form.key) ? t("models.fromDisk.keyForm") : undefined) };
  const ready = path.startsWith("/") && (!form.key || KEY.test(form.key));
  return (
    <Box component="form" sx={{ display: "grid", gap: 4, alignContent: "start" }} onSubmit={(event) => { event.preventDefault(); if (ready && !take.isPending) take.mutate(); }}>
      <Typography variant="body2" sx={{ color: "text.secondary" }}>{t("models.fromDisk.text")}</Typography>
      <Field label={t("models.fromDisk.path")} value={form.path} onChange={set("path")} mono autoFocus placeholder="/models/stable-diffusion-v1-5" error={errors.path} hint={t("models.fromDisk.pathHint")} />
      <Box sx={{ display: "grid", gap: 4, gridTemplateColumns: { xs: "minmax(0,1fr)", sm: "1fr 1fr" } }}>
        <Field label={t("models.fromDisk.key")} value={form.key} onChange={set("key")} mono error={errors.key} hint={t("models.fromDisk.keyHint")} />
        <Field label={t("models.edit.name")} value={form.name} onChange={set("name")} error={said.name} hint={t("models.fromDisk.nameHint")} />
      </Box>
      {problem && !said.path && !said.key && !said.name && <ErrorNote title={t("models.fromDisk.failed")} error={problem} details={problem.details} />}
      {problem && (said.path || said.key) && <Typography variant="body2" sx={{ color: "text.secondary" }}>{words(problem).hint}</Typography>}
      <Box><Button type="submit" variant="contained" disabled={!ready || take.isPending}>{t(take.isPending ? "models.fromDisk.looking" : "models.fromDisk.submit")}</Button></Box>
    </Box>
  );
}
