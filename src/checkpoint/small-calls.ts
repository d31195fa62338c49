import {
  close,
  closeSync,
  fstat,
  fstatSync,
  lstat,
  lstatSync,
  open,
  openSync,
  read,
  readSync,
  type Stats,
} from "node:fs";
import { promisify } from "node:util";

// What the system has in memory it gives within microseconds; to a thread of libuv and back takes ten times as long. So calls for
// little are made right here, for at most WINDOW milliseconds in one turn of the event loop, then on the threads until the next turn.
// One that takes longer than SLOW has waited for a disk (or for the garbage collector): then all go to the threads for a while, which
// doubles each time until a window has passed without such. The first ones always do, so that a disk that does not answer holds up nothing else.
const WINDOW = 4;
const SLOW = 0.1;
const [SHORTEST, LONGEST] = [2, 512];
// Copying so much takes 10 microseconds.
const LITTLE = 1 << 16;

let until = 0;
let opening = false;
let slowUntil = 0;
let pause = SHORTEST;

async function call<R>(here: () => R, onThreads: () => Promise<R>): Promise<R> {
  const began = performance.now();
  if (began >= until) {
    if (!opening && began >= slowUntil) {
      // A window that closed by itself: the disk is quick.
      if (until > slowUntil) pause = SHORTEST;
      opening = true;
      setImmediate(() => {
        opening = false;
        until = performance.now() + WINDOW;
      });
    }
    return onThreads();
  }
  try {
    return here();
  } finally {
    const ended = performance.now();
    if (ended - began > SLOW) {
      until = ended;
      slowUntil = ended + pause;
      pause = Math.min(2 * pause, LONGEST);
    }
  }
}

const threads = {
  lstat: promisify(lstat),
  open: promisify(open),
  fstat: promisify<number, Stats>(fstat),
  read: promisify(read),
  close: promisify(close),
};

/** What is at `path` itself; the system's error where nothing is. */
export const lookAt = (path: string): Promise<Stats> =>
  call(
    () => lstatSync(path),
    () => threads.lstat(path),
  );

/** Opens the file at `path`, which the caller closes. */
export const openFile = async (path: string, flags: number): Promise<OpenFile> =>
  new OpenFile(
    await call(
      () => openSync(path, flags),
      () => threads.open(path, flags),
    ),
  );

export class OpenFile {
  constructor(readonly fd: number) {}

  stat(): Promise<Stats> {
    return call(
      () => fstatSync(this.fd),
      () => threads.fstat(this.fd),
    );
  }

  /** Reads into `bytes` what starts at `position` of the file; gives how many bytes came, 0 at its end. */
  async read(bytes: Uint8Array, position: number): Promise<number> {
    const onThreads = async (): Promise<number> =>
      (await threads.read(this.fd, bytes, 0, bytes.byteLength, position)).bytesRead;
    if (bytes.byteLength > LITTLE) return onThreads();
    return call(() => readSync(this.fd, bytes, 0, bytes.byteLength, position), onThreads);
  }

  close(): Promise<void> {
    return call(
      () => closeSync(this.fd),
      () => threads.close(this.fd),
    );
  }
}
