import type { Handle, Koffi, NativeFunction } from "../../koffi.js";

/** What is asked of the C library of the system. */
export interface System {
  /** Copies bytes from memory to memory, each a pointer or a typed array. */
  copy(to: Handle | ArrayBufferView, from: Handle | ArrayBufferView, bytes: number): void;
  /** What Windows does otherwise. */
  readonly posix: Posix | undefined;
}

export interface Posix {
  dup(fd: number): number;
  dup2(from: number, to: number): number;
  setenv(name: string, value: string, overwrite: number): number;
  unsetenv(name: string): number;
  /** Opens a library for good: who opens it again and closes that leaves it in the process. */
  readonly dlopen: NativeFunction;
}

// dlfcn.h
export const resolveNow = 2;

export function openSystem(koffi: Koffi): System {
  const windows = process.platform === "win32";
  const library = koffi.load(
    windows ? "msvcrt.dll" : process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6",
  );
  const memcpy = library.func("void *memcpy(void *to, void *from, size_t bytes)");
  return {
    copy: (to, from, bytes) => void memcpy(to, from, bytes),
    posix: windows
      ? undefined
      : {
          dup: library.func("int dup(int)"),
          dup2: library.func("int dup2(int, int)"),
          setenv: library.func("int setenv(const char *, const char *, int)"),
          unsetenv: library.func("int unsetenv(const char *)"),
          dlopen: library.func("void *dlopen(const char *, int)") as unknown as NativeFunction,
        },
  };
}
