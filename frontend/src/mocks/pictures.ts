/** Little creatures drawn from a number, so that a mock gallery has ten thousand different pictures and no files. */

function random(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An SVG of one creature; `focus` 0..1 is how far it has come out of the noise. */
export function creature(seed: number, width: number, height: number, focus = 1): string {
  const next = random(seed);
  const hue = Math.floor(next() * 360);
  const other = (hue + 120 + Math.floor(next() * 120)) % 360;
  const eyes = next() < 0.25 ? 1 : 2;
  const [x, y, r] = [50, 56, 22 + next() * 6];
  const ears = next();
  const horn = next() < 0.4;
  const blur = ((1 - focus) * 12).toFixed(1);
  const body = `hsl(${other} 62% ${46 + next() * 14}%)`;
  const shade = `hsl(${other} 58% 34%)`;
  const ear = ears < 0.5
    ? `<path d="M${x - r} ${y - 6}l3-24 14 12zM${x + r} ${y - 6}l-3-24-14 12z" fill="${shade}"/>`
    : `<circle cx="${x - r * 0.8}" cy="${y - r}" r="9" fill="${shade}"/><circle cx="${x + r * 0.8}" cy="${y - r}" r="9" fill="${shade}"/>`;
  const spots = Array.from({ length: 5 }, () => `<circle cx="${(x - r + next() * r * 2).toFixed(1)}" cy="${(y + next() * r * 0.9).toFixed(1)}" r="${(1.5 + next() * 3).toFixed(1)}" fill="${shade}" opacity=".5"/>`).join("");
  const eye = (cx: number) => `<circle cx="${cx}" cy="${y - 5}" r="${eyes === 1 ? 9 : 6}" fill="#fff"/><circle cx="${cx + 1}" cy="${y - 4}" r="${eyes === 1 ? 4.6 : 3}" fill="#14181f"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 100 100" preserveAspectRatio="xMidYMid slice">
<defs><linearGradient id="g" x2="0" y2="1"><stop stop-color="hsl(${hue} 55% 78%)"/><stop offset="1" stop-color="hsl(${(hue + 30) % 360} 48% 52%)"/></linearGradient><filter id="b" x="-20%" y="-20%" width="140%" height="140%"><feGaussianBlur stdDeviation="${blur}"/></filter></defs>
<rect x="-50" y="-50" width="200" height="200" fill="url(#g)"/><g filter="url(#b)"><circle cx="${20 + next() * 60}" cy="${14 + next() * 20}" r="${5 + next() * 8}" fill="#fff" opacity=".5"/>
<path d="M-60 ${78 + next() * 6}q60-${12 + next() * 10} 110-2t110 0v60H-60z" fill="hsl(${(hue + 60) % 360} 38% 36%)"/>
<g>${ear}<ellipse cx="${x}" cy="${y}" rx="${r}" ry="${r * (0.9 + next() * 0.25)}" fill="${body}"/>${spots}${horn ? `<path d="M${x - 5} ${y - r + 3}l5-17 5 17z" fill="#f4d58a"/>` : ""}
${eyes === 1 ? eye(x) : eye(x - 8) + eye(x + 8)}<path d="M${x - 6} ${y + 8}q6 ${3 + next() * 6} 12 0" fill="none" stroke="#14181f" stroke-width="2" stroke-linecap="round"/></g></g>
${focus < 1 ? `<filter id="n"><feTurbulence baseFrequency=".9" numOctaves="2" seed="${seed % 99}"/><feColorMatrix values="1 0 0 0 0 0 1 0 0 0 0 0 1 0 0 0 0 0 0 ${(1 - focus).toFixed(2)}"/></filter><rect x="-50" y="-50" width="200" height="200" filter="url(#n)"/>` : ""}</svg>`;
}

export const dataUrl = (svg: string) => `data:image/svg+xml,${encodeURIComponent(svg)}`;
