/** One of the theme's colours for each of several things side by side: workers, devices. They begin again after the sixth. */
export const seriesColour = (index: number) => `var(--a-palette-series-${"abcdef"[index % 6]})`;
