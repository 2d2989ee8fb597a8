// @vitest-environment node
import { describe, expect, it } from "vitest";

import { palettes } from "./theme";

function luminance(hex: string): number {
  const channel = (at: number) => {
    const value = parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}

/** WCAG 2 contrast ratio, 1 to 21. */
function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

describe.each(Object.entries(palettes))("%s theme", (_, palette) => {
  const grounds = [palette.background.default, palette.background.paper, palette.background.raised, palette.background.sunken];

  it.each(["primary", "secondary", "faint"] as const)("%s text reads on every ground (AA)", (tone) => {
    for (const ground of grounds) expect(contrast(palette.text[tone], ground), ground).toBeGreaterThanOrEqual(4.5);
  });

  it.each(["primary", "success", "warning", "error", "info"] as const)("%s reads as text and under text (AA)", (name) => {
    for (const ground of grounds.slice(0, 3)) expect(contrast(palette[name].main, ground), ground).toBeGreaterThanOrEqual(4.5);
    expect(contrast(palette[name].contrastText, palette[name].main)).toBeGreaterThanOrEqual(4.5);
  });
});
