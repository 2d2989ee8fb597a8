import { Box, Button, Checkbox, Collapse, FormControlLabel } from "@mui/material";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { asProblem } from "@/api/errors";
import * as api from "@/api/generated/sdk.gen";
import { plannedGrid, type GridStart, type PlannedGrid } from "@/api/grids";
import { queries } from "@/api/queries";
import { useSaid } from "@/i18n/said";
import { Attempts } from "@/lib/attempts";
import { duration } from "@/lib/numbers";
import { toast } from "@/lib/toast";
import { ErrorNote } from "@/ui/ErrorNote";
import { Frame } from "@/ui/Frame";
import { NumberField } from "@/ui/NumberField";

import { axisIn, axisOf, MOST_CELLS, valuesIn, type Axis } from "./axes";
import { AxisRow, useChoices } from "./AxisRow";
import { useSeconds } from "./usePlan";

const STEPS: Axis = { field: "steps", text: [10, 20, 30].join(", "), picked: [], lora: null };
const NONE: Axis = { field: "", text: "", picked: [], lora: null };

/** The same picture again and again, with one or two of its settings varied: a job like any other. */
export function GridDialog({ request, start, starts: usually, ...before }: PlannedGrid) {
  const { t } = useTranslation();
  const said = useSaid();
  const go = useNavigate();
  const models = useQuery(queries.models());
  const choices = useChoices(request, models.data ?? []);
  const [x, setX] = useState<Axis>((before.x && axisOf(before.x)) ?? STEPS);
  const [y, setY] = useState<Axis>(before.x ? (before.y && axisOf(before.y)) ?? NONE : { field: "guidance_scale", text: [3, 5, 7.5].join(", "), picked: [], lora: null });
  const [starts, setStarts] = useState(usually);
  const [strength, setStrength] = useState(start?.strength ?? 0);
  const [attempts] = useState(() => new Attempts());
  const onClose = () => plannedGrid.set(null);
  const [across, down] = [axisIn(x), axisIn(y)];
  const count = valuesIn(x).length * Math.max(1, down ? valuesIn(y).length : 1);
  const seconds = useSeconds(request, [x, y]);
  const from = start && starts ? { image: start.image, strength, fit: start.fit } : null;
  const choose = (on: boolean) => {
    setStarts(on);
    // How much may change is nothing that can be varied without a picture.
    if (!on && x.field === "strength") setX(STEPS);
    if (!on && y.field === "strength") setY(NONE);
  };
  const make = useMutation({
    mutationFn: () => api.makeGrid({
      headers: { "idempotency-key": attempts.keyFor([across, down, from]) },
      body: { request, ...(from && { start: from }), x: across ?? { field: "steps", values: [] }, ...(down && { y: down }) },
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
      actions={<><Box role="status" sx={{ mr: "auto", flexBasis: { xs: "100%", sm: "auto" }, color: count > MOST_CELLS || !apart ? "error.main" : "text.secondary", fontSize: 13 }}>{!apart ? t("gallery.gridAlike") : count > MOST_CELLS ? t("gallery.gridTooMany", { max: MOST_CELLS }) : [t("gallery.gridCount", { count }), seconds !== null && count > 0 && t("gallery.gridTakes", { time: duration(seconds) })].filter(Boolean).join(", ")}</Box><Button color="inherit" onClick={onClose}>{t("common.cancel")}</Button><Button type="submit" variant="contained" disabled={!ready}>{t("gallery.gridMake")}</Button></>}
    >
      <Box sx={{ display: "grid", gap: 4, gridTemplateColumns: "minmax(0, 1fr)" }}>
        <AxisRow name={t("gallery.gridX")} axis={x} choices={choices} starts={starts} error={errorOf("x")} onChange={setX} />
        <AxisRow name={t("gallery.gridY")} axis={y} choices={choices} starts={starts} error={errorOf("y")} optional onChange={setY} />
        {start && <Start start={start} on={starts} strength={strength} varied={x.field === "strength" || y.field === "strength"} onChoose={choose} onStrength={setStrength} />}
        {elsewhere && <ErrorNote title={t("gallery.gridFailed")} error={elsewhere} details={elsewhere.details} />}
      </Box>
    </Frame>
  );
}

/** The picture that every cell may start from, and how much of it may change. */
function Start({ start, on, strength, varied, onChoose, onStrength }: { start: GridStart; on: boolean; strength: number; varied: boolean; onChoose: (on: boolean) => void; onStrength: (value: number) => void }) {
  const { t } = useTranslation();
  return (
    <Box sx={{ display: "grid", gap: 3, gridTemplateColumns: { xs: "minmax(0, 1fr)", sm: "200px minmax(0, 1fr)" }, alignItems: "center", borderTop: 1, borderColor: "divider", pt: 4 }}>
      <Box sx={{ display: "flex", alignItems: "center", gap: 3 }}>
        <Box component="img" src={start.url} alt="" sx={{ width: 56, height: 56, objectFit: "cover", borderRadius: "8px", opacity: on ? 1 : 0.5, flexShrink: 0 }} />
        <FormControlLabel control={<Checkbox size="small" checked={on} onChange={(event) => onChoose(event.target.checked)} />} label={t("gallery.gridStarts")} slotProps={{ typography: { variant: "body2" } }} sx={{ mr: 0 }} />
      </Box>
      <Collapse in={on && !varied} unmountOnExit><NumberField label={t("task.strength")} value={strength} min={0} max={1} step={0.05} onChange={onStrength} /></Collapse>
    </Box>
  );
}
