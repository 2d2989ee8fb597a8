/** The ways to a new model. */
export const WAYS = ["hub", "disk", "found"] as const;
export type Way = (typeof WAYS)[number];
