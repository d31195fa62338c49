import { FlowError, headlineOf, userFrames } from "../core/errors.js";

/** Where a call was made: its frames are gone when what it awaits fails. */
export interface CallSite {
  readonly stack?: string;
}

/** The frames above `from`, the function the user called. */
export function callSiteAbove(from: (...args: never) => unknown): CallSite {
  const site: { stack?: string } = {};
  Error.captureStackTrace(site, from);
  return site;
}

/** `error` with a stack of the user's own lines: where it was thrown in a job's function, then where the call was made. */
export function atCallSite(error: unknown, site: CallSite): unknown {
  if (!(error instanceof FlowError)) return error;
  const frames = new Set([...userFrames(error.stack), ...userFrames(site.stack)]);
  error.stack = [headlineOf(error.stack ?? ""), ...frames].join("\n");
  return error;
}

/** What `task` gives, its errors with the stack of the user's line that called `from`. */
export async function fromCallSite<T>(from: (...args: never) => unknown, task: () => Promise<T>): Promise<T> {
  const site = callSiteAbove(from);
  try {
    return await task();
  } catch (error) {
    throw atCallSite(error, site);
  }
}
