/** How long a grid takes, as the server forecasts it from the runs that it measured. */
import { useQueries } from "@tanstack/react-query";

import { queries } from "@/api/queries";
import type { PlanIn, TextToImageIn } from "@/api/types";

import type { Axis } from "./axes";
import { valuesIn } from "./axes";

/** What is asked of the planner, one question for each pair of model and steps, and how many cells each answer is for. */
export function questions(request: TextToImageIn, axes: Axis[]): { question: PlanIn; cells: number }[] {
  const over = (field: Axis["field"], own: string | number | null | undefined) => {
    const axis = axes.find((one) => one.field === field);
    return axis ? valuesIn(axis) : [own];
  };
  const cells = axes.reduce((count, axis) => count * (axis.field === "" ? 1 : valuesIn(axis).length), 1);
  const [models, steps] = [over("model", request.model), over("steps", request.steps)];
  // Of the sizes the largest: that many pixels are drawn at most.
  const [width, height] = (["width", "height"] as const).map((side) => Math.max(...over(side, request[side]).map(Number).filter((value) => value >= 8 && value <= 8192)));
  const pairs = models.flatMap((model) => steps.map((count) => ({ model: String(model ?? ""), steps: Number(count) })));
  if (pairs.length === 0 || pairs.length > 24) return [];
  return pairs.map(({ model, steps: count }) => ({
    question: { model, ...(Number.isInteger(count) && count > 0 ? { steps: count } : {}), ...(Number.isFinite(width) ? { width } : {}), ...(Number.isFinite(height) ? { height } : {}) },
    cells: cells / pairs.length,
  }));
}

/** Seconds for all of it; null where nothing was measured yet. */
export function useSeconds(request: TextToImageIn, axes: Axis[]): number | null {
  const asked = questions(request, axes);
  const answers = useQueries({ queries: asked.map(({ question }) => ({ ...queries.plan(question), enabled: question.model !== "" })) });
  const each = answers.map(({ data }, at) => (data?.run_seconds ? data.run_seconds.expected * (asked[at]?.cells ?? 0) : null));
  // A model that is not loaded is loaded once.
  const loads = new Map(answers.flatMap(({ data }) => (data && !data.loaded && data.load_seconds ? [[data.model, data.load_seconds.expected] as const] : [])));
  if (each.length === 0 || each.includes(null)) return null;
  return each.reduce<number>((sum, one) => sum + (one ?? 0), 0) + [...loads.values()].reduce((sum, one) => sum + one, 0);
}
