// Starts examples/serve.ts on a saved MLP, asks it for MNIST's first 500 test digits at once, and ends it with Ctrl-C's signal.
// `node scripts/serve-test.mjs FOLDER`
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { data } from "../dist/index.js";

const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const server = spawn(
  process.execPath,
  ["--import", import.meta.resolve("tsx"), path("examples/serve.ts"), "--port", "0", "--model", process.argv[2]],
  { stdio: ["ignore", "pipe", "inherit"] },
);
const exited = once(server, "exit");
try {
  const [line] = await Promise.race([once(server.stdout, "data"), exited]);
  const url = /http:\S+/.exec(String(line))?.[0];
  if (url === undefined) throw new Error(`the server said '${line}'`);

  const [, [images, labels]] = await data.loadMnist(100, 500);
  let right = 0;
  await Promise.all(
    Array.from({ length: 500 }, async (_, i) => {
      const body = JSON.stringify({ images: [Array.from(images[0].slice(i, i + 1).data)] });
      for (;;) {
        const response = await fetch(`${url}/classify`, { method: "POST", body });
        const answer = await response.json();
        if (response.status === 503) continue;
        if (response.status !== 200) throw new Error(`${response.status}: ${answer.error}`);
        if (answer.digits[0] === labels[0].data[i]) right++;
        return;
      }
    }),
  );
  console.log(`${(right / 5).toFixed(1)} % of 500 digits are right`);
  if (right < 430) throw new Error("expected at least 86 %"); // the first test digits are the harder ones
  server.kill("SIGINT");
  const [code, signal] = await exited;
  if (code !== 0 && process.platform !== "win32") throw new Error(`the server ended with ${code ?? signal}`);
} finally {
  server.kill("SIGKILL");
}
