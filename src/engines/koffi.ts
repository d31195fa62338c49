export type Koffi = typeof import("koffi")["default"];

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
