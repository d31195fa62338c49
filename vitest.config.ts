import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const dist = (path: string) => fileURLToPath(new URL(`./dist/${path}`, import.meta.url));

// Tests run against dist/, what users get; `pretest` builds it.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^onestep$/, replacement: dist("index.js") },
      { find: /^#src\/(.*)$/, replacement: `${dist("")}$1` },
    ],
  },
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    // The default, one less than the cores, leaves half of a two-core machine idle: 4 minutes instead of 6.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 60_000,
    server: { deps: { external: [/\/dist\//] } },
    typecheck: { enabled: false },
  },
});
