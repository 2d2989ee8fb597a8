import { Box, Button } from "@mui/material";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import * as api from "@/api/generated/sdk.gen";
import { plannedGrid } from "@/api/grids";
import { queries } from "@/api/queries";
import type { TextToImageIn } from "@/api/types";
import { useSaid } from "@/i18n/said";
import { uuid } from "@/lib/browser";
import { toast } from "@/lib/toast";
import { ErrorNote } from "@/ui/ErrorNote";
import { Frame } from "@/ui/Frame";

import { axisIn, MOST_CELLS, valuesIn, type Axis } from "./axes";
import { AxisRow, useChoices } from "./AxisRow";

/** The same picture again and again, with one or two of its settings varied: a job like any other. */
export function GridDialog({ request }: { request: TextToImageIn }) {
  const { t } = useTranslation();
  const said = useSaid();
  const go = useNavigate();
  const models = useQuery(queries.models());
  const choices = useChoices(request, models.data ?? []);
  const [x, setX] = useState<Axis>({ field: "steps", text: [10, 20, 30].join(", "), picked: [], lora: null });
  const [y, setY] = useState<Axis>({ field: "guidance_scale", text: [3, 5, 7.5].join(", "), picked: [], lora: null });
  const [key] = useState(uuid);
  const onClose = () => plannedGrid.set(null);
  const [across, down] = [axisIn(x), axisIn(y)];
  const count = valuesIn(x).length * Math.max(1, down ? valuesIn(y).length : 1);
  const make = useMutation({
    mutationFn: () => api.makeGrid({
      headers: { "idempotency-key": `${key}-${JSON.stringify([across, down])}`.slice(0, 200) },
      body: { request, x: across ?? { field: "steps", values: [] }, ...(down && { y: down }) },
    }),
    onSuccess: (accepted) => {
      onClose();
      toast(t("gallery.gridAsked", { count }), { action: { label: t("gallery.gridFollow"), run: () => void go({ to: "/jobs/$id", params: { id: accepted.job_id } }) } });
    },
  });
  const problem = make.isError ? asProblem(make.error) : null;
  const errorOf = (side: "x" | "y") => {
    const found = problem?.fields.find((each) => each.field === side || each.field.startsWith(`${side}.`));
    const at = /\.values\.(\d+)$/.exec(found?.field ?? "")?.[1];
    const value = at === undefined ? undefined : valuesIn(side === "x" ? x : y)[Number(at)];
    return found && [value === undefined ? "" : `${value}: `, said(found).text].join("");
  };
  const elsewhere = problem && !errorOf("x") && !errorOf("y") ? problem : null;
  const apart = !down || x.field !== y.field || (x.field === "lora_weight" && x.lora !== y.lora);
  const ready = valuesIn(x).length > 0 && count <= MOST_CELLS && (!down || valuesIn(y).length > 0) && apart && !make.isPending;
  return (
    <Frame
      title={t("gallery.grid_")} note={t("gallery.gridNote")} width="md" onClose={onClose} onSubmit={() => ready && make.mutate()}
      actions={<><Box role="status" sx={{ mr: "auto", color: count > MOST_CELLS || !apart ? "error.main" : "text.secondary", fontSize: 13 }}>{!apart ? t("gallery.gridAlike") : count > MOST_CELLS ? t("gallery.gridTooMany", { max: MOST_CELLS }) : t("gallery.gridCount", { count })}</Box><Button color="inherit" onClick={onClose}>{t("common.cancel")}</Button><Button type="submit" variant="contained" disabled={!ready}>{t("gallery.gridMake")}</Button></>}
    >
      <Box sx={{ display: "grid", gap: 4, gridTemplateColumns: "minmax(0, 1fr)" }}>
        <AxisRow name={t("gallery.gridX")} axis={x} choices={choices} error={errorOf("x")} onChange={setX} />
        <AxisRow name={t("gallery.gridY")} axis={y} choices={choices} error={errorOf("y")} optional onChange={setY} />
        {elsewhere && <ErrorNote title={t("gallery.gridFailed")} error={elsewhere} details={elsewhere.details} />}
      </Box>
    </Frame>
  );
}
