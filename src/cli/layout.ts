/** Columns of a terminal that nothing but a single long word exceeds. */
export const WIDTH = 80;

/**
 * Rows in columns, the first `left` to the left, the others to the right. Where that is wider than a terminal, long first cells get a
 * line of their own; where even the others are too wide, the second stands beside the first.
 */
export function table(rows: readonly (readonly string[])[], left = 1): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const wide = (from: number): number => widths.slice(from).reduce((sum, width) => sum + width + 2, -2);
  const line = (cells: readonly string[], from: number, first = widths[from]!): string =>
    cells
      .map((cell, i) => {
        const width = i === 0 ? first : widths[i + from]!;
        return i + from < left ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  ")
      .trimEnd();
  const room = Math.min(widths[0]!, WIDTH - wide(1) - 2);
  if (room < Math.min(widths[0]!, 4))
    return rows.flatMap((row) => {
      const head = row.slice(0, 2).join("  ");
      return [...(head.length <= WIDTH ? [head] : row.slice(0, 2)), `  ${line(row.slice(2), 2)}`];
    });
  return rows.flatMap((row) =>
    row[0]!.length <= room ? [line(row, 0, room)] : [row[0]!, line(["", ...row.slice(1)], 0, room)],
  );
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
