export type Koffi = typeof import("koffi")["default"];

/** A function of a native library: in place, or on koffi's threads. */
export type NativeFunction = ((...args: readonly unknown[]) => unknown) & {
  readonly async: (...args: readonly unknown[]) => void;
};

/** A pointer; 0 is null. */
export type Handle = bigint;

/** Kernels overflow koffi's default of 128 KiB for calls on threads of its own. */
const stackSize = 8 * 1024 * 1024;

let opened: Promise<Koffi | undefined> | undefined;

/**
 * koffi with stacks that kernels fit in, which can be set before the first library of the process alone: every engine gets it here.
 * Undefined where koffi has no binary for this machine, or where the program has loaded a library with smaller stacks.
 */
export function openKoffi(): Promise<Koffi | undefined> {
  opened ??= open();
  return opened;
}

async function open(): Promise<Koffi | undefined> {
  try {
    const { default: koffi } = await import("koffi");
    if ((koffi.config() as { readonly async_stack_size: number }).async_stack_size < stackSize)
      koffi.config({ async_stack_size: stackSize });
    return koffi;
  } catch {
    return undefined;
  }
}

/** `count` pointers that native code reads and writes; the buffer never moves. */
export const pointers = (count: number): BigUint64Array => new BigUint64Array(new ArrayBuffer(8 * Math.max(1, count)));

/** A C string that native code reads; the buffer never moves. */
export function cString(text: string): Uint8Array {
  const encoded = new TextEncoder().encode(`${text}\0`);
  const bytes = new Uint8Array(new ArrayBuffer(encoded.length));
  bytes.set(encoded);
  return bytes;
}

/**
 * Calls a native function on koffi's threads; the event loop stays free, and the call keeps the process alive. What native
 * code reads and writes is held here until it is done.
 */
export function callAside(fn: NativeFunction, ...args: readonly unknown[]): Promise<unknown> {
  const held = new Set<unknown>(args);
  return new Promise((resolve, reject) => {
    fn.async(...args, (error: unknown, result: unknown) => {
      held.clear();
      if (error) reject(error);
      else resolve(result);
    });
  });
}

// Measured: a call on koffi's threads costs about 25 us more than one in place, which below this many milliseconds is worth it.
const inPlaceBelow = 0.3;
const remembered = 8;

/** Calls of one native function: in place while even the longest of the last few was short, else on koffi's threads. */
export class Calls {
  readonly #durations: number[] = [];
  constructor(readonly fn: NativeFunction) {}

  async make(...args: readonly unknown[]): Promise<unknown> {
    const inPlace = this.#durations.length === remembered && Math.max(...this.#durations) < inPlaceBelow;
    const started = performance.now();
    const result = inPlace ? this.fn(...args) : await callAside(this.fn, ...args);
    this.#durations.push(performance.now() - started);
    if (this.#durations.length > remembered) this.#durations.shift();
    return result;
  }
}
