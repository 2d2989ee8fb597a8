import { Box, Button } from "@mui/material";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import type { ModelOut } from "@/api/types";
import { keys } from "@/api/keys";
import * as api from "@/api/generated/sdk.gen";
import { useSaid } from "@/i18n/said";
import { ErrorNote } from "@/ui/ErrorNote";

import { Field } from "@/ui/Field";
import { Frame } from "@/ui/Frame";

/** A model's words: what people call it, what it is for, its licence, its tags. */
export function EditDialog({ model, onClose }: { model: ModelOut; onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const said = useSaid();
  const [form, setForm] = useState({ name: model.name, description: model.description, license: model.license, tags: model.tags.join(", ") });
  const set = (field: keyof typeof form) => (value: string) => setForm((old) => ({ ...old, [field]: value }));
  const tags = [...new Set(form.tags.split(",").map((tag) => tag.trim()).filter(Boolean))];
  const save = useMutation({
    mutationFn: () => api.changeModel({ path: { key: model.key }, body: { name: form.name.trim(), description: form.description.trim(), license: form.license.trim(), tags } }),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: keys.allModels });
      onClose();
    },
  });
  const problem = save.isError ? asProblem(save.error) : null;
  const errors = Object.fromEntries((problem?.fields ?? []).map((each) => [each.field.split(".")[0] ?? each.field, said(each).text]));
  const nameless = form.name.trim() === "" ? t("models.edit.nameEmpty") : undefined;
  const longTag = tags.find((tag) => tag.length > 40);
  return (
    <Frame
      title={t("models.edit.title", { name: model.name })} onClose={onClose} onSubmit={() => !nameless && !longTag && save.mutate()}
      actions={<><Button color="inherit" onClick={onClose}>{t("common.cancel")}</Button><Button type="submit" variant="contained" disabled={!!nameless || !!longTag || save.isPending}>{t("models.edit.save")}</Button></>}
    >
      <Box sx={{ display: "grid", gap: 4 }}>
        <Field label={t("models.edit.name")} value={form.name} onChange={set("name")} error={nameless ?? errors.name} autoFocus />
        <Field label={t("models.edit.description")} value={form.description} onChange={set("description")} rows={3} error={errors.description} />
        <Field label={t("models.edit.license")} value={form.license} onChange={set("license")} error={errors.license} placeholder="Apache-2.0" />
        <Field label={t("models.edit.tags")} value={form.tags} onChange={set("tags")} hint={t("models.edit.tagsHint")} error={longTag ? t("models.edit.tagLong", { max: 40 }) : errors.tags} />
        {problem && problem.fields.length === 0 && <ErrorNote title={t("models.edit.failed")} error={problem} details={problem.details} />}
      </Box>
    </Frame>
  );
}
