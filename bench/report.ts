import { geometricMean } from "./statistics.js";

/** What one peer did in one case; milliseconds of a step. */
export interface Result {
  readonly peer: string;
  readonly version: string;
  /** Steps that were timed. */
  readonly steps: number;
  readonly medianMs: number;
  readonly minMs: number;
  readonly p10Ms: number;
  readonly p90Ms: number;
  /** From declaring the model to the end of its first step: first values, tracing, compiling. */
  readonly firstStepMs: number;
  /** To import the framework before. */
  readonly importMs: number;
  /** Peak resident memory of the peer's process. */
  readonly rssMb: number;
}

export interface CaseReport {
  readonly name: string;
  readonly title: string;
  readonly mode: "train" | "predict";
  /** Floating-point operations of a step. */
  readonly flop: number;
  readonly tolerance: number;
  readonly rounds: number;
  /** onestep first. */
  readonly results: readonly Result[];
  readonly leftOut: readonly { readonly peer: string; readonly reason: string }[];
}

/** A whole program that is timed from outside. */
export interface ProgramReport {
  readonly title: string;
  /** How it was measured, and what it gave. */
  readonly notes: readonly string[];
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Report {
  readonly date: string;
  readonly cpu: string;
  readonly platform: string;
  readonly node: string;
  readonly threads: number;
  readonly pinned: string;
  readonly peakGflops: number;
  readonly leftOut: readonly { readonly peer: string; readonly reason: string }[];
  readonly cases: readonly CaseReport[];
  readonly programs: readonly ProgramReport[];
}

/** A table in Markdown; the first column reads from the left, the others from the right. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(columns), `|${columns.map((_, i) => (i === 0 ? "---" : "---:")).join("|")}|`, ...rows.map(line)];
}

/** Three significant digits. */
export const short = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString("en-US") : Number(value.toPrecision(3)).toString();

export const floorMs = ({ flop }: CaseReport, peakGflops: number): number => flop / peakGflops / 1e6;

/** onestep's median over that of each peer, in the order of the first appearance; onestep itself is left out. */
export function ratios({ results }: CaseReport): ReadonlyMap<string, number> {
  const ours = results.find(({ peer }) => peer === "onestep");
  return new Map(
    ours === undefined
      ? []
      : results.filter((r) => r !== ours).map(({ peer, medianMs }) => [peer, ours.medianMs / medianMs] as const),
  );
}

/** Of each peer: the geometric mean of onestep's ratios over the training cases it took part in, and their number. */
export function means(
  cases: readonly CaseReport[],
): ReadonlyMap<string, { readonly mean: number; readonly count: number }> {
  const lists = new Map<string, number[]>();
  for (const report of cases.filter(({ mode }) => mode === "train"))
    for (const [peer, ratio] of ratios(report)) lists.set(peer, [...(lists.get(peer) ?? []), ratio]);
  return new Map([...lists].map(([peer, list]) => [peer, { mean: geometricMean(list), count: list.length }]));
}

function summary({ cases, peakGflops }: Report): readonly string[] {
  const peers = [...new Set(cases.flatMap((report) => [...ratios(report).keys()]))];
  const rows = cases.map((report) => {
    const ours = report.results.find(({ peer }) => peer === "onestep")?.medianMs;
    const floor = floorMs(report, peakGflops);
    const of = ratios(report);
    return [
      report.name,
      ours === undefined ? "" : short(ours),
      short(floor),
      ours === undefined ? "" : (ours / floor).toFixed(2),
      ...peers.map((peer) => of.get(peer)?.toFixed(2) ?? ""),
    ];
  });
  const mean = means(cases);
  const last = peers.map((peer) => {
    const { mean: value, count } = mean.get(peer) ?? { mean: Number.NaN, count: 0 };
    return count === 0 ? "" : `**${value.toFixed(2)}** (${count})`;
  });
  return [
    "## onestep's median over each peer's: below 1 onestep is faster",
    "",
    ...table(
      ["case", "onestep ms", "floor ms", "of floor", ...peers],
      [...rows, ["geometric mean, training (cases)", "", "", "", ...last]],
    ),
    "",
    "An empty field: the peer was left out, for the reason at its case.",
  ];
}

function caseText(report: CaseReport, peakGflops: number): readonly string[] {
  const { title, flop, results, leftOut, tolerance, rounds } = report;
  const ratio = ratios(report);
  return [
    "",
    `## ${title}`,
    "",
    `${(flop / 1e6).toPrecision(4)} MFLOP a step: floor ${short(floorMs(report, peakGflops))} ms. ${rounds} rounds; losses of the first 2 steps agree within ${tolerance} (relative).`,
    "",
    ...table(
      [
        "peer",
        "version",
        "steps",
        "median ms",
        "min ms",
        "p10-p90 ms",
        "onestep / peer",
        "first step s",
        "with import s",
        "peak MB",
      ],
      results.map((r) => [
        r.peer,
        r.version,
        String(r.steps),
        r.medianMs.toFixed(3),
        r.minMs.toFixed(3),
        `${r.p10Ms.toFixed(3)}-${r.p90Ms.toFixed(3)}`,
        ratio.get(r.peer)?.toFixed(2) ?? "",
        (r.firstStepMs / 1000).toFixed(2),
        ((r.firstStepMs + r.importMs) / 1000).toFixed(2),
        String(r.rssMb),
      ]),
    ),
    ...(leftOut.length === 0 ? [] : ["", ...leftOut.map(({ peer, reason }) => `- Without ${peer}: ${reason}.`)]),
  ];
}

/** The results in Markdown. */
export function markdown(report: Report): string {
  const { date, cpu, platform, node, threads, pinned, peakGflops, cases, programs, leftOut } = report;
  return `${[
    `# Benchmark ${date.slice(0, 10)}`,
    "",
    `${cpu}, ${platform}, Node ${node}, ${threads} threads; ${pinned}. Measured GEMM peak ${peakGflops.toFixed(0)} GFLOP/s: the fastest of 24 runs of 8 chained float32 products of 1024 x 1024 by onnxruntime; a case's floor is its operations at that speed.`,
    ...(leftOut.length === 0 ? [] : ["", ...leftOut.map(({ peer, reason }) => `- Without ${peer}: ${reason}.`)]),
    ...(cases.length === 0 ? [] : ["", ...summary(report)]),
    ...cases.flatMap((one) => caseText(one, peakGflops)),
    ...programs.flatMap(({ title, notes, columns, rows }) => [
      "",
      `## ${title}`,
      "",
      ...notes.flatMap((note) => [note, ""]),
      ...table(columns, rows),
    ]),
  ].join("\n")}\n`;
}
