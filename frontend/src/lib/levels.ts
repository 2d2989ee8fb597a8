/** How fast models answer, by how many requests are under way: what is drawn of it. */
interface Spread { mean: number; p50: number; p90: number; p99: number }
type Figures = { completed: number } & Record<"output_throughput" | "request_throughput", number> & Record<"ttft_ms" | "tpot_ms" | "itl_ms" | "e2el_ms", Spread | null> & { icl_ms?: Spread | null; goodput?: number | null };
interface Stage { model: string; concurrency: number; figures: Figures }
interface Benchmark { id: string; name: string; server: string; created_at: string; stages: readonly Stage[] }

export const PARTS = ["mean", "p50", "p90", "p99"] as const;
export type Part = (typeof PARTS)[number];

export const MEASURES = ["output_throughput", "ttft_ms", "tpot_ms", "itl_ms", "icl_ms", "e2el_ms", "request_throughput"] as const;
export type Measure = (typeof MEASURES)[number];

/** Of a stage; null where nothing was answered. Throughputs have no percentiles. */
export function valueOf({ figures }: Stage, measure: Measure, part: Part): number | null {
  const found = figures[measure];
  if (typeof found === "number") return figures.completed ? found : null;
  return found?.[part] ?? null;
}

export interface LevelLine { key: string; name: string; points: { level: number; value: number }[] }

/** A line for each model of each benchmark; with several benchmarks their names tell them apart. */
export function linesOf(benchmarks: readonly Benchmark[], measure: Measure, part: Part): LevelLine[] {
  return benchmarks.flatMap((benchmark) =>
    [...new Set(benchmark.stages.map((stage) => stage.model))].map((model) => ({
      key: `${benchmark.id}/${model}`,
      name: benchmarks.length > 1 ? `${model} · ${nameOf(benchmark)}` : model,
      points: benchmark.stages.filter((stage) => stage.model === model).flatMap((stage) => {
        const value = valueOf(stage, measure, part);
        return value === null ? [] : [{ level: stage.concurrency, value }];
      }).sort((one, other) => one.level - other.level),
    })),
  );
}

export const levelsOf = (lines: readonly LevelLine[]): number[] => [...new Set(lines.flatMap((line) => line.points.map((point) => point.level)))].sort((one, other) => one - other);

export const nameOf = (benchmark: Omit<Benchmark, "stages">): string => benchmark.name || [benchmark.server.replace(/^https?:\/\//, ""), new Date(benchmark.created_at).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" })].filter(Boolean).join(" · ");

/** A goal in milliseconds; null for none, undefined for what is no goal. */
export function goalIn(text: string): number | null | undefined {
  if (!text.trim()) return null;
  const value = Number(text.replace(",", "."));
  return value > 0 && value <= 3_600_000 ? value : undefined;
}

/** "1, 2,4" as numbers; null for what cannot be asked. */
export function levelsIn(text: string): number[] | null {
  const found = text.split(/[\s,;]+/).filter(Boolean).map(Number);
  const good = found.length > 0 && found.length <= 12 && found.every((level) => Number.isInteger(level) && level >= 1 && level <= 512);
  return good ? [...new Set(found)].sort((one, other) => one - other) : null;
}
