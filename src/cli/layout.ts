/** Columns of a terminal that nothing but a single long word exceeds. */
export const WIDTH = 80;

/**
 * Rows in columns, the first and those of `left` to the left, the others to the right. Where that is wider than a terminal, the first
 * cell gets a line of its own.
 */
export function table(rows: readonly (readonly string[])[], left = 1): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[], from: number): string =>
    cells
      .map((cell, i) => (i + from < left ? cell.padEnd(widths[i + from]!) : cell.padStart(widths[i + from]!)))
      .join("  ")
      .trimEnd();
  const total = widths.reduce((sum, width) => sum + width + 2, -2);
  if (total <= WIDTH) return rows.map((row) => line(row, 0));
  const narrow = total - widths[0]! <= WIDTH ? 1 : 2;
  return rows.flatMap((row) => [row.slice(0, narrow).join("  "), `  ${line(row.slice(narrow), narrow)}`]);
}

/** Words in lines of a terminal's width, all but the first indented. */
export function wrap(text: string, indent = "  "): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line.trim() !== "" && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = `${indent}${word}`;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join("\n");
}

/** `1,605,632`, the same in every language. */
export function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A number in at most ten characters: four digits, or all of an integer that fits. */
export function short(value: number | bigint | undefined): string {
  if (value === undefined) return "-";
  const exact = String(value);
  if (exact.length <= 9 && (typeof value === "bigint" || Number.isInteger(value))) return exact;
  const number = Number(value);
  const rounded = String(Number(number.toPrecision(4)));
  return rounded.length <= 9 ? rounded : number.toExponential(3);
}
