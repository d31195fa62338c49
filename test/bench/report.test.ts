import { describe, expect, test } from "vitest";
import { cases, flopsOf } from "../../bench/cases.js";
import { chart } from "../../bench/chart.js";
import { type CaseReport, floorMs, markdown, means, type Report, ratios, short, table } from "../../bench/report.js";
import { disagreement, geometricMean, median, quantile } from "../../bench/statistics.js";

const result = (peer: string, medianMs: number) => ({
  peer,
  version: "1",
  steps: 3,
  medianMs,
  minMs: medianMs / 2,
  p10Ms: medianMs * 0.75,
  p90Ms: medianMs * 2,
  firstStepMs: 1500,
  importMs: 500,
  rssMb: 100,
});
const one = (name: string, mode: "train" | "predict", times: Readonly<Record<string, number>>): CaseReport => ({
  name,
  title: `${name} <b>`,
  mode,
  flop: 2e9,
  tolerance: 1e-4,
  rounds: 3,
  results: Object.entries(times).map(([peer, ms]) => result(peer, ms)),
  leftOut: [{ peer: "slow", reason: "it is slow" }],
});
const reports = [
  one("a", "train", { onestep: 2, "PyTorch eager": 4, "jax-js": 20 }),
  one("b", "train", { onestep: 8, "PyTorch eager": 4 }),
  one("c", "predict", { onestep: 1, "PyTorch eager": 100 }),
];

describe("statistics", () => {
  test("quantiles are numpy's", () => {
    // numpy.quantile([3, 1, 2, 10], [0, 0.1, 0.5, 0.9, 1])
    for (const [fraction, expected] of [
      [0, 1],
      [0.1, 1.3],
      [0.5, 2.5],
      [0.9, 7.9],
      [1, 10],
    ] as const)
      expect(quantile([3, 1, 2, 10], fraction)).toBeCloseTo(expected, 12);
    expect(median([5])).toBe(5);
  });
  test("the geometric mean of a ratio and its inverse is 1", () => {
    expect(geometricMean([0.5, 2])).toBeCloseTo(1, 15);
    expect(geometricMean([1, 10, 100])).toBeCloseTo(10, 12);
  });
  test("losses agree within a relative tolerance; none is not equal to all", () => {
    expect(disagreement([1.00005, 2], [1, 2], 1e-4)).toBeUndefined();
    expect(disagreement([1, 2.001], [1, 2], 1e-4)).toBe("its losses 1, 2.001 are not onestep's 1, 2");
    expect(disagreement([Number.NaN], [1], 1e-4)).toContain("NaN");
  });
});

describe("report", () => {
  test("ratios are onestep's median over the peer's; means take training alone", () => {
    expect([...ratios(reports[0]!)]).toEqual([
      ["PyTorch eager", 0.5],
      ["jax-js", 0.1],
    ]);
    const mean = means(reports);
    expect(mean.get("PyTorch eager")!.mean).toBeCloseTo(1, 15);
    expect(mean.get("PyTorch eager")!.count).toBe(2);
    expect(mean.get("jax-js")!.mean).toBeCloseTo(0.1, 15);
  });
  test("the floor is the operations at the peak", () => {
    expect(floorMs(reports[0]!, 100)).toBe(20);
  });
  test("operations of a step, by hand", () => {
    // The products of the forward pass, and of weight and input gradients but the first layer's input gradient.
    const dense = 2 * 100 * (784 * 512 * 2 + 512 * 10 * 3);
    expect(flopsOf(cases.find(({ name }) => name === "mlp")!)).toBe(dense);
    expect(flopsOf(cases.find(({ name }) => name === "tiny")!)).toBe(2 * 8 * 10 * 10 * 2);
  });
  test("tables and numbers", () => {
    expect(table(["x", "y"], [["a", "1"]])).toEqual(["| x | y |", "|---|---:|", "| a | 1 |"]);
    expect([0.012345, 1.5, 99.96, 1234.5].map(short)).toEqual(["0.0123", "1.5", "100", "1,235"]);
  });
  test("Markdown names ratios, means and what was left out", () => {
    const report: Report = {
      date: "2026-01-02T03:04:05Z",
      cpu: "a processor",
      platform: "linux x64",
      node: "v20",
      threads: 2,
      pinned: "pinned",
      peakGflops: 100,
      leftOut: [{ peer: "JAX jit", reason: "it is not installed" }],
      cases: reports,
      programs: [{ title: "A program", notes: ["how"], columns: ["", "s"], rows: [["it", "1.5"]] }],
    };
    const lines = markdown(report).split("\n");
    expect(lines).toContain("- Without JAX jit: it is not installed.");
    expect(lines).toContain("- Without slow: it is slow.");
    expect(lines).toContain("| a | 2 | 20 | 0.10 | 0.50 | 0.10 |");
    expect(lines).toContain("| geometric mean, training (cases) |  |  |  | **1.00** (2) | **0.10** (1) |");
    expect(lines).toContain("| jax-js | 1 | 3 | 20.000 | 10.000 | 15.000-40.000 | 0.10 | 1.50 | 2.00 | 100 |");
    expect(lines).toContain("| it | 1.5 |");
  });
});

describe("chart", () => {
  const svg = chart(reports, "PyTorch eager");
  test("a bar for each peer but the base, from 1 to its ratio, on a logarithmic axis", () => {
    // The axis goes from 0.01 to 10 over 900 - 210 - 70 points; 1 is at two thirds of it.
    const x = (ratio: number) => 210 + ((Math.log10(ratio) + 2) / 3) * 620;
    const bars = [...svg.matchAll(/<rect x="([\d.]+)" y="\d+" width="([\d.]+)"/g)].map((m) => [
      Number(m[1]),
      Number(m[2]),
    ]);
    const expected = [0.5, 5, 2, 0.01].map((ratio) => [Math.min(x(1), x(ratio)), Math.abs(x(ratio) - x(1))]);
    expect(bars.length).toBe(4);
    for (const [i, bar] of bars.entries())
      for (const [k, value] of bar.entries()) expect(value).toBeCloseTo(expected[i]![k]!, 0);
  });
  test("it is well-formed, escaped, and follows the reader's scheme", () => {
    expect(svg).toContain("a &lt;b>");
    expect(svg).toContain("@media(prefers-color-scheme:dark)");
    expect(svg.match(/<text/g)!.length).toBe(svg.match(/<\/text>/g)!.length);
  });
  test("a case without the base is not drawn", () => {
    expect(chart([one("d", "train", { onestep: 1 })], "PyTorch eager")).not.toContain('class="case"');
  });
});
