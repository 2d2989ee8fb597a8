import { Box, Button, MenuItem, Select, Typography } from "@mui/material";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import * as api from "@/api/generated/sdk.gen";
import { queries } from "@/api/queries";
import type { ImageOut } from "@/api/types";
import { useSaid } from "@/i18n/said";
import { uuid } from "@/lib/browser";
import { toast } from "@/lib/toast";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field } from "@/ui/Field";
import { Frame } from "@/ui/Frame";

import { FIELDS, MOST_CELLS, valuesOf, type AxisField } from "./axes";

interface Axis { field: AxisField | ""; text: string }

/** The same picture again and again, with one or two of its settings varied: a job like any other. */
export function GridDialog({ image, onClose }: { image: ImageOut; onClose: () => void }) {
  const { t } = useTranslation();
  const said = useSaid();
  const go = useNavigate();
  const models = useQuery(queries.models()).data ?? [];
  const schedulers = useQuery(queries.schedulers()).data ?? [];
  const [x, setX] = useState<Axis>({ field: "steps", text: [10, 20, 30].join(", ") });
  const [y, setY] = useState<Axis>({ field: "guidance_scale", text: [3, 5, 7.5].join(", ") });
  const [key] = useState(uuid);
  const [xs, ys] = [valuesOf(x.field, x.text), valuesOf(y.field, y.text)];
  const count = xs.length * Math.max(1, ys.length);
  const { prompt, negative_prompt, model, steps, guidance_scale, width, height, seed, scheduler } = image;
  const make = useMutation({
    mutationFn: () => api.makeGrid({
      headers: { "idempotency-key": `${key}-${x.field}-${x.text}-${y.field}-${y.text}`.slice(0, 200) },
      body: { request: { prompt, negative_prompt, model, steps, guidance_scale, width, height, seed, scheduler }, x: { field: x.field as AxisField, values: xs }, ...(y.field && { y: { field: y.field, values: ys } }) },
    }),
    onSuccess: (accepted) => {
      onClose();
      toast(t("gallery.gridAsked", { count }), { action: { label: t("gallery.gridFollow"), run: () => void go({ to: "/jobs/$id", params: { id: accepted.job_id } }) } });
    },
  });
  const problem = make.isError ? asProblem(make.error) : null;
  const errorOf = (axis: "x" | "y") => {
    const found = problem?.fields.find((each) => each.field === axis || each.field.startsWith(`${axis}.`));
    const at = /\.values\.(\d+)$/.exec(found?.field ?? "")?.[1];
    const value = at === undefined ? undefined : (axis === "x" ? xs : ys)[Number(at)];
    return found && [value === undefined ? "" : `${value}: `, said(found).text].join("");
  };
  const elsewhere = problem && !errorOf("x") && !errorOf("y") ? problem : null;
  const known = (field: Axis["field"]) => (field === "model" ? models.filter((one) => one.task === "image" && one.type === "base_model").map((one) => one.key) : field === "scheduler" ? schedulers.map((one) => one.id) : []);
  const row = (name: string, axis: Axis, set: (axis: Axis) => void, error: string | undefined, optional: boolean) => (
    <Box sx={{ display: "grid", gridTemplateColumns: { sm: "200px 1fr" }, gap: 3, alignItems: "start" }}>
      <Box>
        <Typography variant="overline" sx={{ color: "text.secondary", display: "block", mb: 1 }}>{name}</Typography>
        <Select size="small" fullWidth displayEmpty value={axis.field} inputProps={{ "aria-label": name }} onChange={(event) => set({ field: event.target.value as Axis["field"], text: known(event.target.value as Axis["field"]).slice(0, 4).join(", ") })}>
          {optional && <MenuItem value="">{t("common.none")}</MenuItem>}
          {FIELDS.map((field) => <MenuItem key={field} value={field}>{t(`gallery.axes.${field}`)}</MenuItem>)}
        </Select>
      </Box>
      {axis.field && <Field label={t("gallery.gridValues")} value={axis.text} onChange={(text) => set({ ...axis, text })} error={error} hint={t(axis.field === "prompt_sr" ? "gallery.gridReplaceHint" : "gallery.gridValuesHint")} />}
    </Box>
  );
  const ready = xs.length > 0 && count <= MOST_CELLS && (!y.field || (ys.length > 0 && y.field !== x.field)) && !make.isPending;
  return (
    <Frame
      title={t("gallery.grid_")} note={t("gallery.gridNote")} width="md" onClose={onClose} onSubmit={() => ready && make.mutate()}
      actions={<><Box role="status" sx={{ mr: "auto", color: count > MOST_CELLS ? "error.main" : "text.secondary", fontSize: 13 }}>{count > MOST_CELLS ? t("gallery.gridTooMany", { max: MOST_CELLS }) : t("gallery.gridCount", { count })}</Box><Button color="inherit" onClick={onClose}>{t("common.cancel")}</Button><Button type="submit" variant="contained" disabled={!ready}>{t("gallery.gridMake")}</Button></>}
    >
      <Box sx={{ display: "grid", gap: 4 }}>
        {row(t("gallery.gridX"), x, setX, errorOf("x"), false)}
        {row(t("gallery.gridY"), y, setY, errorOf("y"), true)}
        {elsewhere && <ErrorNote title={t("gallery.gridFailed")} error={elsewhere} details={elsewhere.details} />}
      </Box>
    </Frame>
  );
}
