import * as flow from "onestep";

/** Choices of a program, drawn from a list of numbers; all 0 where the list has ended. */
export class Draw {
  #at = 0;
  constructor(readonly numbers: readonly number[]) {}

  /** A whole number below `count`. */
  below(count: number): number {
    return (this.numbers[this.#at++] ?? 0) % count;
  }
  from<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
  /** True once in `times`, where the numbers are random. */
  once(times: number): boolean {
    return this.below(times) === times - 1;
  }
}

/** Calls functions of the library by their path in `flow`, and keeps what was called as the text of a program. */
export class Recorder {
  readonly lines: string[] = [];
  readonly #names = new Map<unknown, string>();
  #count = 0;

  name<T>(value: T, name: string): T {
    this.#names.set(value, name);
    return value;
  }

  /** `flow.<path>(...args)`; a path that begins with a dot is a method of the first argument. */
  call<T = flow.Blob>(path: string, ...args: readonly unknown[]): T {
    const result = `v${this.#count++}`;
    const [self, rest, callee] = path.startsWith(".")
      ? [args[0], args.slice(1), `${this.text(args[0])}${path}`]
      : [undefined, args, `flow.${path}`];
    this.lines.push(`const ${result} = ${callee}(${rest.map((arg) => this.text(arg)).join(", ")});`);
    const value = (
      self === undefined
        ? found(path)(...rest)
        : (self as Record<string, (...a: unknown[]) => unknown>)[path.slice(1)]!(...rest)
    ) as T;
    if (value instanceof flow.Blob) this.lines[this.lines.length - 1] += ` // ${value.dtype}[${value.shape.join(",")}]`;
    return this.name(value, result);
  }

  /** `new flow.<path>(...args)`. */
  make<T>(path: string, ...args: readonly unknown[]): T {
    const result = `v${this.#count++}`;
    this.lines.push(`const ${result} = new flow.${path}(${args.map((arg) => this.text(arg)).join(", ")});`);
    const Class = found(path) as unknown as new (...a: readonly unknown[]) => T;
    return this.name(new Class(...args), result);
  }

  /** Runs `fn` as the callback of a scope, indented. */
  scope<T>(path: string, args: readonly unknown[], fn: () => T): T {
    this.lines.push(`flow.${path}(${[...args, ""].map((arg) => (arg === "" ? "" : this.text(arg))).join(", ")}() => {`);
    try {
      return found(path)(...args, fn) as T;
    } finally {
      this.lines.push("});");
    }
  }

  note(line: string): void {
    this.lines.push(line);
  }

  text(value: unknown): string {
    const name = this.#names.get(value);
    if (name !== undefined) return name;
    if (Array.isArray(value)) return `[${value.map((entry) => this.text(entry)).join(", ")}]`;
    if (typeof value === "function") return `flow.nn.${value.name}`;
    if (typeof value === "object" && value !== null)
      return `{ ${Object.entries(value)
        .map(([key, entry]) => `${key}: ${this.text(entry)}`)
        .join(", ")} }`;
    return typeof value === "string" ? JSON.stringify(value) : String(value);
  }
}

function found(path: string): (...args: readonly unknown[]) => unknown {
  const value = path.split(".").reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], flow);
  if (typeof value !== "function") throw new Error(`flow.${path} is no function`);
  return value as (...args: readonly unknown[]) => unknown;
}
