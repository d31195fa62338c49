/**
 * Rows under a heading, columns as wide as their widest entry and two spaces apart; `align` has l or r for each. Entries of
 * the first column are shortened where a line would be wider than `width`, but not below 12.
 */
export function columns(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  align: string,
  width: number,
): string[] {
  const full = [heading, ...rows.map((row) => row.slice(0, heading.length))];
  const widths = heading.map((_, i) => Math.max(...full.map((row) => row[i]!.length)));
  const rest = widths.slice(1).reduce((sum, w) => sum + w + 2, 0);
  widths[0] = Math.min(widths[0]!, Math.max(12, width - rest));
  const all = full.map((row) => [shortened(row[0]!, widths[0]!), ...row.slice(1)]);
  const line = (row: readonly string[]): string =>
    row
      .map((text, i) => (align[i] === "r" ? text.padStart(widths[i]!) : text.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd();
  return [line(heading), widths.map((width) => "-".repeat(width)).join("  "), ...all.slice(1).map(line)];
}

/** `1.20 M`, or `1.20 MB` with the unit "B": three digits and a power of a thousand. */
export function count(value: number, unit = ""): string {
  const prefixes = ["", "k", "M", "G", "T", "P"];
  let power = 0;
  while (value >= 999.5 && power < prefixes.length - 1) {
    value /= 1000;
    power++;
  }
  return `${power === 0 ? Math.round(value) : value.toPrecision(3)} ${prefixes[power]}${unit}`.trimEnd();
}

/** A text of at most `width` characters, its middle left out where it is longer. */
export function shortened(text: string, width: number): string {
  if (text.length <= width) return text;
  const left = Math.ceil((width - 1) / 2);
  return `${text.slice(0, left)}…${text.slice(text.length - (width - 1 - left))}`;
}
