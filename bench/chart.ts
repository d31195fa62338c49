import type { CaseReport } from "./report.js";

const colours: Readonly<Record<string, string>> = {
  onestep: "#e0542f",
  "onestep tensorflow": "#f0a35e",
  "PyTorch eager": "#8a8a8a",
  "PyTorch compile": "#b9b9b9",
  "TensorFlow graph": "#3f8fd2",
  "JAX jit": "#2aa198",
  "tfjs-node eager": "#8e6bbf",
  "tfjs wasm": "#b58fd8",
  "tfjs cpu": "#d4bde9",
  "jax-js": "#6fae3d",
};
const [LEFT, RIGHT, BAR, GAP, TOP] = [210, 70, 13, 20, 66];
const WIDTH = 900;

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

/**
 * Bars of the median time of a step relative to `base`'s, by case and peer, on a logarithmic axis: to the left of the line at 1 a peer is
 * faster. A case without `base` is not drawn. The colours follow the reader's light or dark scheme.
 */
export function chart(cases: readonly CaseReport[], base: string): string {
  const groups = cases.flatMap(({ title, results }) => {
    const one = results.find(({ peer }) => peer === base)?.medianMs;
    if (one === undefined) return [];
    const bars = results
      .filter(({ peer }) => peer !== base)
      .map(({ peer, medianMs }) => ({ peer, ratio: medianMs / one }));
    return [{ title, bars }];
  });
  const values = groups.flatMap(({ bars }) => bars.map(({ ratio }) => ratio));
  const low = Math.floor(Math.log10(Math.min(0.5, ...values)));
  const high = Math.ceil(Math.log10(Math.max(2, ...values)));
  const x = (ratio: number): number => LEFT + ((Math.log10(ratio) - low) / (high - low)) * (WIDTH - LEFT - RIGHT);
  const at = (value: number): string => value.toFixed(1);

  const marks: string[] = [];
  let y = TOP;
  for (const { title, bars } of groups) {
    marks.push(`<text class="case" x="12" y="${y}">${escaped(title)}</text>`);
    y += 8;
    for (const { peer, ratio } of bars) {
      const [from, to] = [Math.min(x(1), x(ratio)), Math.max(x(1), x(ratio))];
      const label = ratio >= 100 ? ratio.toFixed(0) : ratio.toPrecision(2);
      marks.push(
        `<text x="${LEFT - 8}" y="${y + BAR - 3}" text-anchor="end">${escaped(peer)}</text>`,
        `<rect x="${at(from)}" y="${y}" width="${at(Math.max(1, to - from))}" height="${BAR - 2}" fill="${colours[peer] ?? "#888888"}"/>`,
        `<text x="${at(to + 5)}" y="${y + BAR - 3}">${label}</text>`,
      );
      y += BAR;
    }
    y += GAP;
  }
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  const grid = ticks.map(
    (tick) =>
      `<line class="${tick === 1 ? "one" : "grid"}" x1="${at(x(tick))}" x2="${at(x(tick))}" y1="${TOP - 16}" y2="${y - GAP}"/>` +
      `<text x="${at(x(tick))}" y="${TOP - 20}" text-anchor="middle">${tick < 1 ? tick.toFixed(-Math.log10(tick)) : tick}</text>`,
  );
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img" aria-label="Time of a step relative to ${escaped(base)}">`,
    "<style>",
    "text{font:11px system-ui,sans-serif;fill:#24292f}.title{font-size:15px;font-weight:600}.case{font-size:12px;font-weight:600}",
    ".grid{stroke:#d0d7de}.one{stroke:#24292f;stroke-width:1.5}.back{fill:#ffffff}",
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#30363d}.one{stroke:#e6edf3}.back{fill:#0d1117}}",
    "</style>",
    `<rect class="back" width="${WIDTH}" height="${y}"/>`,
    `<text class="title" x="12" y="24">Median time relative to ${escaped(base)} = 1 (logarithmic; shorter is faster)</text>`,
    ...grid,
    ...marks,
    "</svg>",
  ].join("\n")}\n`;
}
