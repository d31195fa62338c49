import { join } from "node:path";

/** The interpreter of the virtual environment that `npm run bench:setup` makes in `bench`. */
export const pythonOf = (bench: string): string =>
  join(bench, ".venv", ...(process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]));
