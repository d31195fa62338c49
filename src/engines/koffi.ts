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

// ms. The queue lets the event loop turn when it has not for 4 ms, so that with one such call it waits for less than 10. A call on a
// thread of koffi's is scheduled beside the engine's own: on 2 cores a step of 1.0 ms took 1.2, and one in ten 4 and more.
const inPlaceBelow = 3;
const noLongerInPlace = 4;

/** Calls of one native function that do the same work each time: in place where that is quick, else on koffi's threads. */
export class Calls {
  /** ms of the last calls. The least is nearest to the work, what is above came from others. */
  readonly #last = new Float64Array(8).fill(Infinity);
  #count = 0;
  #quick = false;
  constructor(readonly fn: NativeFunction) {}

  /** Whether the last calls were short enough for the next to be made in place. */
  get quick(): boolean {
    return this.#quick;
  }

  async make(...args: readonly unknown[]): Promise<unknown> {
    if (this.#quick) return this.makeNow(...args);
    const started = performance.now();
    const result = await callAside(this.fn, ...args);
    this.#add(performance.now() - started);
    return result;
  }

  /** In place. */
  makeNow(...args: readonly unknown[]): unknown {
    const started = performance.now();
    const result = this.fn(...args);
    this.#add(performance.now() - started);
    return result;
  }

  #add(ms: number): void {
    this.#last[this.#count++ % this.#last.length] = ms;
    const limit = this.#quick ? noLongerInPlace : inPlaceBelow;
    this.#quick = this.#count >= this.#last.length && Math.min(...this.#last) < limit;
  }
}
