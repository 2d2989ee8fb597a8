/** Numbers as people read them: with units, in the reader's language. */

const GIB = 1024 ** 3;

/** Bytes in binary units: "1.4 GiB". One decimal under 100, none above. */
export function bytes(value: number, locale = "en"): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let scaled = Math.max(0, value);
  let unit = 0;
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || scaled >= 100 ? 0 : 1;
  return `${decimal(scaled, digits, locale)} ${units[unit]}`;
}

/** Memory of a device or a disk, in GiB so that figures compare; below one, where a decimal says nothing, in whole MiB. */
export function gib(value: number, locale = "en"): string {
  const scaled = value / GIB;
  if (value > 0 && scaled < 0.95) return `${decimal(value / 1024 ** 2, 0, locale)} MiB`;
  return `${decimal(scaled, scaled >= 100 ? 0 : 1, locale)} GiB`;
}

export function decimal(value: number, digits: number, locale = "en"): string {
  return new Intl.NumberFormat(locale, { maximumFractionDigits: digits, minimumFractionDigits: 0 }).format(value);
}

/** A fraction 0..1 as "42 %" in the reader's convention. Never shows 100 % before the end. */
export function percent(fraction: number, locale = "en"): string {
  const shown = fraction >= 1 ? 1 : Math.min(0.99, Math.max(0, fraction));
  return new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 }).format(shown);
}

/** Seconds as "40 s", "3 min 20 s", "1 h 05 min". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** As `duration`, with tenths below ten seconds: what loads in 0.4 s does not take "0 s". */
export function briefly(seconds: number, locale = "en"): string {
  return seconds < 9.95 ? `${decimal(Math.max(0.1, seconds), 1, locale)} s` : duration(seconds);
}

/** How long ago, in words: "2 minutes ago". */
export function ago(iso: string, now: number, locale = "en"): string {
  const seconds = Math.min(0, Math.round((Date.parse(iso) - now) / 1000));
  const format = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
  const steps: [number, Intl.RelativeTimeFormatUnit][] = [[60, "second"], [3600, "minute"], [86_400, "hour"], [Infinity, "day"]];
  const divisors: Record<string, number> = { second: 1, minute: 60, hour: 3600, day: 86_400 };
  for (const [limit, unit] of steps) {
    if (-seconds < limit) return format.format(Math.round(seconds / (divisors[unit as string] ?? 1)), unit);
  }
  return "";
}

/** The exact time, for a tooltip. */
export function exact(iso: string, locale = "en"): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(iso));
}
