import { homedir } from "node:os";
import { join } from "node:path";

/** Where onestep keeps what it made for this machine, outside any project: `ONESTEP_CACHE`, else the user's cache folder. */
export function cacheFolder(): string {
  return (
    process.env.ONESTEP_CACHE ??
    (process.platform === "win32"
      ? join(process.env.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "onestep")
      : process.platform === "darwin"
        ? join(homedir(), "Library", "Caches", "onestep")
        : join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "onestep"))
  );
}
