/** What a recipe says beyond what every picture has: what was done, and what that was told. Pure. */
import type { ImageOut } from "@/api/types";
import { percent } from "@/lib/numbers";

interface Made {
  task?: string; strength?: number; scale?: number; left?: number; right?: number; top?: number; bottom?: number; frames?: number; fps?: number; motion?: number; noise?: number;
  grid?: { x: string; y?: string | null; labels?: { x?: string[]; y?: string[] } };
}

/** What a form calls it that makes such pictures; pictures from words alone need no word for it. */
export const TASK_NAMES = { image_to_image: "change", inpaint: "inpaint", outpaint: "outpaint", upscale: "upscale", image_to_video: "animate" } as const;
export type TaskName = (typeof TASK_NAMES)[keyof typeof TASK_NAMES];

export function taskOf(image: ImageOut): TaskName | null {
  const { task = "" } = image.recipe as Made;
  return task in TASK_NAMES ? TASK_NAMES[task as keyof typeof TASK_NAMES] : null;
}

export type ToldName = "strength" | "scale" | "growth" | "frames" | "fps" | "motion" | "noise";

/** What a task was told, in the order in which people ask. Growth is a list of edges with their pixels. */
export function toldTo(image: ImageOut, language: string): { name: ToldName; text?: string; edges?: ["left" | "right" | "top" | "bottom", number][] }[] {
  const made = image.recipe as Made;
  const number = (value: number) => new Intl.NumberFormat(language).format(value);
  switch (taskOf(image)) {
    case "change":
    case "inpaint":
      return made.strength === undefined ? [] : [{ name: "strength", text: percent(made.strength, language) }];
    case "upscale":
      return [...(made.scale ? [{ name: "scale" as const, text: `× ${number(made.scale)}` }] : []), ...(made.strength === undefined ? [] : [{ name: "strength" as const, text: percent(made.strength, language) }])];
    case "outpaint": {
      const edges = (["left", "right", "top", "bottom"] as const).flatMap((edge) => (made[edge] ? [[edge, made[edge]] as [typeof edge, number]] : []));
      return edges.length ? [{ name: "growth", edges }] : [];
    }
    case "animate":
      return (["frames", "fps", "motion", "noise"] as const).flatMap((name) => (made[name] === undefined ? [] : [{ name, text: number(made[name]) }]));
    case null:
      return [];
  }
}

/** The sides of a grid's sheet, with the values along them; nothing for other pictures. */
export function sidesOf(image: ImageOut): { field: string; values: string }[] {
  const { grid } = image.recipe as Made;
  if (!grid) return [];
  const side = (field: string | null | undefined, labels: string[] | undefined) => {
    if (!field || !labels) return [];
    // The sheet's own labels begin with the setting's name, which stands before them here.
    const name = `${field.replaceAll("_", " ")} `;
    return [{ field, values: labels.map((label) => (label.startsWith(name) ? label.slice(name.length) : label)).join(", ") }];
  };
  return [...side(grid.x, grid.labels?.x), ...side(grid.y, grid.labels?.y)];
}
