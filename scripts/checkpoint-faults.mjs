// npm run build && node --expose-gc scripts/checkpoint-faults.mjs: nothing that happens to a save or a load loses a checkpoint.
// `--short` takes a sample of everything, `--kills N` sets how often the training program is killed (1,000; short: 50), `--only WORD`
// runs the checks whose section begins so: trace, errors, large, kills, disks, signals, race, many. Needs Linux, strace and root.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { verifyCheckpoint } from "../dist/checkpoint/verify.js";
import { Program } from "../test/checkpoint/faults/program.mjs";
import { attach, calls, parse } from "../test/checkpoint/faults/tracer.mjs";

const flag = (name) => process.argv.includes(name);
const option = (name, otherwise) => (flag(name) ? process.argv[process.argv.indexOf(name) + 1] : otherwise);
const short = flag("--short");
const kills = Number(option("--kills", short ? 50 : 1000));
const only = option("--only", "");
const root = mkdtempSync(join(option("--dir", tmpdir()), "onestep-faults-"));
// One thread makes all calls of a save in one order, and calls that strace counts are those of the save alone. A load makes its small
// calls on that thread too, or here, on the main one.
const oneThread = { UV_THREADPOOL_SIZE: "1", UV_USE_IO_URING: "0" };
const saver = (where = "threads", seed = "7") => new Program("saver.mjs", [seed, "50", where], oneThread);
let passed = 0;
let failed = 0;

/** Prints one line: ok, or what was wrong (a list of complaints, of which the first ones are shown). */
function check(title, complaints) {
  const list = [complaints].flat().filter((complaint) => complaint !== undefined);
  if (list.length === 0) passed++;
  else failed++;
  const shown = list.slice(0, 5).map((complaint) => `\n      ${complaint.replaceAll(root, "ROOT")}`);
  console.log(`${list.length === 0 ? "ok   " : "FAIL "} ${title}${shown.join("")}`);
}

async function section(name, work) {
  if (!name.startsWith(only)) return;
  try {
    await work();
  } catch (error) {
    check(`${name}: ended early`, String(error.stack));
  }
}

const leftovers = (parent) => readdirSync(parent).filter((name) => name.endsWith(".saving"));
const dense = ["dense-bias", "dense-weight", "other"];
/** SHA-256 of the elements of `names`, one after the other, as the files have them. */
function digestOf(dir, names) {
  const hash = createHash("sha256");
  for (const name of names) hash.update(readFileSync(join(dir, name, "out")));
  return hash.digest("hex");
}
/** What is wrong with a directory that must be absent or complete with these bits. */
async function oldOrNew(dir, digest, names = dense) {
  if (!existsSync(dir)) return undefined;
  const report = await verifyCheckpoint(dir).catch((error) => error);
  if (report.finished !== true) return `half a checkpoint: ${report.message ?? report.problems?.join()}`;
  return digestOf(dir, names) === digest ? undefined : "other bits than were saved";
}

// --- the order of calls --------------------------------------------------------------------------------------------

/** Complaints about the order in which a save made its calls. */
function orderOf(events, dir) {
  const wrong = [];
  const at = (call, path) => events.findIndex((event) => call.test(event.call) && event.path === path);
  const mark = events.findIndex(({ call, path }) => /^mkdir/.test(call) && path?.endsWith("/snapshot_done"));
  const rename = events.findIndex(({ call, to }) => /^rename/.test(call) && to === dir);
  if (mark === -1 || rename === -1) return ["no mark or no rename in the trace"];
  const aside = events[mark].path.slice(0, -"/snapshot_done".length);
  const lastSync = (path, before = events.length) =>
    events.slice(0, before).findLastIndex((event) => event.call === "fsync" && event.path === path);
  let files = 0;
  for (const { call, path, line } of events) {
    if (call === "fsync" && !/= 0$/.test(line)) wrong.push(`a sync failed: ${line}`);
    if (call !== "pwrite64" || !path?.startsWith(aside)) continue;
    files++;
    const written = events.findLastIndex((event) => event.call === "pwrite64" && event.path === path);
    if (!(written < lastSync(path, mark))) wrong.push(`${path} is not synced between its last write and the mark`);
  }
  if (files < 2 * dense.length + 1) wrong.push(`only ${files} writes in the trace`);
  for (const name of dense) {
    const folder = `${aside}/${name}`;
    if (!(at(/^openat?$/, `${folder}/meta`) < lastSync(folder, mark)))
      wrong.push(`${folder} is not synced before the mark`);
  }
  if (!(lastSync(aside, mark) !== -1)) wrong.push("the tree is not synced before the mark");
  if (!(mark < lastSync(aside, rename))) wrong.push("the mark is not synced before the rename");
  if (!(rename < lastSync(join(dir, "..")))) wrong.push("the parent is not synced after the rename");
  return wrong;
}

/** What a save and a load call when nothing goes wrong: lines of their traces. */
async function traces(where) {
  const program = saver(where);
  await program.next();
  const dir = join(root, "traced");
  const result = {};
  for (const what of ["save", "load"]) {
    const detach = await attach(program.pid, join(root, "trace"));
    await program.ask(`${what} ${dir}`);
    result[what] = await detach();
  }
  await program.stop();
  return { dir, ...result };
}

await section("trace", async () => {
  const { dir, save } = await traces();
  const events = parse(save);
  const wrong = orderOf(events, dir);
  check(
    `trace: ${events.length} calls of a save: every byte synced before the mark, the mark before the rename, the parent after`,
    wrong,
  );
  // The check must see what it is for.
  const withoutSync = (match) => parse(save.filter((line) => !(/ fsync\(/.test(line) && match.test(line))));
  const blind = [
    /dense-bias\/out>/,
    /other\/meta>/,
    /onestep\.json>/,
    /\/other>/,
    /\.saving>/,
    /faults-[^/]*>\)/,
  ].filter((match) => orderOf(withoutSync(match), dir).length === 0);
  check(
    "trace: the same trace without any one of the syncs is refused",
    blind.map((match) => `blind for ${match}`),
  );
  rmSync(dir, { recursive: true });
});

// --- each call refused, or fatal -----------------------------------------------------------------------------------

async function eachRefused(where, works) {
  const traced = await traces(where);
  rmSync(traced.dir, { recursive: true });
  // strace counts for each thread: a fault at the n-th call of a name meets that of every thread.
  const counts = (lines) => {
    const events = parse(lines).filter(({ call }) => calls.includes(call));
    const most = (name) => {
      const threads = events.flatMap(({ call, thread }) => (call === name ? [thread] : []));
      return Math.max(...threads.map((thread) => threads.filter((other) => other === thread).length));
    };
    return [...new Set(events.map(({ call }) => call))].map((call) => [call, most(call)]);
  };
  let program;
  let digest;
  const alive = async () => {
    if (program === undefined || program.process.exitCode !== null || program.process.signalCode !== null) {
      program = saver(where);
      ({ digest } = await program.next());
    }
    return program;
  };
  const stored = join(root, "stored");
  const other = saver(where, "8");
  const { digest: storedDigest } = await other.next();
  await other.ask(`save ${stored}`);
  await other.stop();

  const under = async (line, inject) => {
    const target = await alive();
    const detach = await attach(target.pid, join(root, "trace"), inject);
    const answer = await target.ask(line);
    if (answer.hung) await target.stop();
    await detach();
    return answer;
  };
  const clear = async (answer, dir, work) => {
    if (answer.hung) return `${work} hangs`;
    if (answer.ended)
      return answer.signal === "SIGKILL" ? undefined : `${work} ends the program: ${program.errors.slice(0, 300)}`;
    if (answer.done || (answer.flow && /^E_CKPT_/.test(answer.code) && answer.message.includes(dir))) return undefined;
    return `${work}: ${JSON.stringify(answer)}`;
  };
  const savedAgain = async (dir) => {
    // Whatever came before, the next save there succeeds and sweeps.
    if (existsSync(dir)) rmSync(dir, { recursive: true });
    const answer = await (await alive()).ask(`save ${dir}`);
    const left = leftovers(root);
    if (!answer.done) return `the next save fails: ${answer.message}`;
    return left.length === 0 ? oldOrNew(dir, digest) : `the next save leaves ${left}`;
  };
  const onlySome = (at) => !short || at % 9 === 1;

  const faults = [
    ...["EIO", "EACCES", "ENOSPC", "EROFS", "EMFILE"].map((errno) => ({
      title: errno,
      rule: `error=${errno}`,
      once: true,
    })),
    { title: "EIO from then on, removal refused too", rule: "error=EIO", once: false },
    { title: "SIGKILL", rule: "signal=SIGKILL", once: true, kill: true },
  ];
  let at = 0;
  for (const fault of faults) {
    for (const what of works) {
      const wrong = [];
      let count = 0;
      let refused = 0;
      for (const [call, total] of counts(traced[what])) {
        for (let n = 1; n <= total; n++) {
          if (!onlySome(at++)) continue;
          count++;
          const inject = [`inject=${call}:${fault.rule}:when=${n}${fault.once ? "" : "+"}`];
          if (!fault.once) inject.push("inject=?unlink,?unlinkat,?rmdir:error=EIO:when=1+");
          const dir = what === "save" ? join(root, "m") : stored;
          const place = `${call} ${n} of ${total}`;
          const answer = await under(`${what} ${dir}`, inject);
          refused += answer.done === true ? 0 : 1;
          if (answer.done === true && flag("--verbose"))
            console.log(`      ${what} despite ${fault.title} at ${place}`);
          let complaint = await clear(answer, dir, what);
          if (what === "save") {
            complaint ??= await oldOrNew(dir, digest);
            if (answer.done && !existsSync(dir)) complaint ??= "said to be saved, but is not there";
            if (answer.done === false && existsSync(dir) && !/is complete/.test(answer.message))
              complaint ??= `an error, yet it is there: ${answer.message}`;
            if (answer.done === false && answer.digest !== digest) complaint ??= "a variable changed";
            // One fault leaves nothing behind; where removing fails too, something may stay, and goes with the next save.
            if (fault.once && !fault.kill && leftovers(root).length > 0) complaint ??= `left ${leftovers(root)}`;
            for (const name of leftovers(root)) {
              const answer = await (await alive()).ask(`load ${join(root, name)}`);
              if (answer.code !== "E_CKPT_DIR") complaint ??= `a leftover loads: ${JSON.stringify(answer)}`;
            }
            complaint ??= await savedAgain(dir);
            rmSync(dir, { recursive: true, force: true });
          } else {
            complaint ??= await oldOrNew(stored, storedDigest);
            if (answer.done === true && answer.digest !== storedDigest) complaint ??= "loaded other bits";
            if (answer.done === false && answer.digest !== digest) complaint ??= "a variable changed";
            if (answer.done === true) await program.ask("init");
          }
          if (complaint !== undefined) wrong.push(`${place}: ${complaint}`);
        }
      }
      check(
        `errors: ${fault.title} at each of ${count} calls of a ${what}${where === "here" ? " on the main thread" : ""} (${refused} ended it)`,
        count === 0 ? "no call" : wrong,
      );
    }
  }
  await program?.stop();
  rmSync(stored, { recursive: true });
}

await section("errors", async () => {
  await eachRefused("threads", ["save", "load"]);
  await eachRefused("here", ["load"]);
});

// --- files that are hashed on threads and flushed while they are written ---------------------------------------------

await section("large", async () => {
  const large = ["7", "9000000"];
  let program;
  let digest;
  const alive = async () => {
    if (program === undefined || program.process.exitCode !== null || program.process.signalCode !== null) {
      program = new Program("saver.mjs", large);
      ({ digest } = await program.next(60));
    }
    return program;
  };
  await alive();
  const stored = join(root, "stored-large");
  await program.ask(`save ${stored}`, 60);
  const wrong = [];
  // strace counts for each thread: of 108 pieces one of libuv's four has 27 or more.
  const places = [
    ["save", "fdatasync", 1],
    ["save", "pwrite64", 20],
    ["save", "fsync", 1],
    ["load", "pread64", 20],
  ];
  let count = 0;
  for (const [what, call, n] of places) {
    for (const rule of ["error=EIO", "error=ENOSPC", "signal=SIGKILL"].slice(short ? 2 * (n % 2) : 0)) {
      count++;
      const dir = what === "save" ? join(root, "large") : stored;
      const target = await alive();
      const detach = await attach(target.pid, join(root, "trace"), [`inject=${call}:${rule}:when=${n}`]);
      const answer = await target.ask(`${what} ${dir}`, 60);
      if (answer.hung) await target.stop();
      await detach();
      const refused = answer.flow && answer.code === "E_CKPT_IO" && answer.digest === digest;
      if (rule === "signal=SIGKILL" ? answer.signal !== "SIGKILL" : !refused)
        wrong.push(`${rule} at ${call} ${n} of a ${what}: ${JSON.stringify(answer)}`);
      if (what === "save" && existsSync(dir)) wrong.push(`${rule} at ${call} ${n} of a save: yet it is there`);
      if (what === "save" && rule !== "signal=SIGKILL" && leftovers(root).length > 0)
        wrong.push(`left ${leftovers(root)}`);
    }
  }
  const dir = join(root, "large");
  const again = await (await alive()).ask(`save ${dir}`, 60);
  if (!again.done || leftovers(root).length > 0) wrong.push(`the next save: ${again.message}, left ${leftovers(root)}`);
  const complaint = await oldOrNew(dir, digest);
  if (complaint !== undefined) wrong.push(complaint);
  await program.stop();
  for (const made of [dir, stored]) rmSync(made, { recursive: true, force: true });
  check(`large: ${count} faults while 108 MB are hashed on threads and flushed as they are written`, wrong);
});

// --- killed while training -----------------------------------------------------------------------------------------

const weights = ["dense1-bias", "dense1-weight", "dense2-bias", "dense2-weight"];
const trainer = fileURLToPath(new URL("../test/checkpoint/faults/trainer.mjs", import.meta.url));
const noted = (log, word) => {
  const text = existsSync(log) ? readFileSync(log, "utf8") : "";
  return [...text.matchAll(new RegExp(`^${word} (\\d+) ?(\\w*)$`, "gm"))].map(([, step, sha256]) => [
    Number(step),
    sha256,
  ]);
};

/** Starts the training program, stops it `times` at random moments, and checks what is there each time. */
async function stopped(signal, times, background = "") {
  const folder = mkdtempSync(join(root, "train-"));
  const log = join(root, `log-${signal}-${background}`);
  const wrong = [];
  let interrupted = 0;
  let steps = 0;
  // How long a save takes on this machine, now: the moments to stop at are spread over it, however busy the machine is.
  let usual = 30;
  for (let round = 0; round < times; round++) {
    const child = spawn(process.execPath, [trainer, folder, log, background], { stdio: ["ignore", "pipe", "pipe"] });
    let errors = "";
    child.stderr.on("data", (data) => {
      errors += data;
    });
    const ended = once(child, "exit");
    // One in ten is stopped while it starts or loads, the others while they train and save.
    if (round % 10 === 9) await sleep(Math.random() * 250);
    else {
      let toPass = Math.floor(Math.random() * 3);
      let began = 0;
      const arrived = (async () => {
        for await (const line of createInterface({ input: child.stdout })) {
          if (line.startsWith("saving")) {
            began = performance.now();
            if (toPass === 0) return;
          } else if (line.startsWith("saved")) {
            usual = 0.8 * usual + 0.2 * (performance.now() - began);
            toPass = Math.max(0, toPass - 1);
          }
        }
      })();
      await Promise.race([arrived, ended]);
      await sleep(Math.random() * 1.2 * usual);
    }
    const early = child.exitCode;
    child.kill(signal);
    await ended;
    if (early !== null) wrong.push(`round ${round}: ended by itself: ${errors.slice(0, 500)}`);
    const digests = new Map();
    for (const [step, sha256] of noted(log, "step")) {
      if (digests.has(step) && digests.get(step) !== sha256)
        wrong.push(`round ${round}: step ${step} was made with other bits after a resume`);
      digests.set(step, sha256);
    }
    const newest = Math.max(0, ...readdirSync(folder).map((name) => Number(/^m-(\d+)$/.exec(name)?.[1] ?? 0)));
    const promised = Math.max(0, ...noted(log, "done").map(([step]) => step));
    steps = newest;
    if (newest < promised) wrong.push(`round ${round}: step ${promised} was saved, the newest is ${newest}`);
    interrupted += leftovers(folder).length > 0 ? 1 : 0;
    for (const name of readdirSync(folder).filter((name) => name.startsWith("m-"))) {
      const complaint = await oldOrNew(join(folder, name), digests.get(Number(name.slice(2))), weights);
      if (complaint !== undefined) wrong.push(`round ${round}: ${name}: ${complaint}`);
    }
  }
  return { wrong, interrupted, steps };
}

/** Complaints, one more where no save was cut off or none ended: then nothing was tested. */
const tested = (wrong, interrupted, steps) => [
  ...wrong,
  interrupted > 0 ? undefined : "no save was cut off: nothing was tested",
  steps > 0 ? undefined : "no save ended: nothing was tested",
];

await section("kills", async () => {
  const plain = Math.ceil(kills * 0.8);
  for (const [times, background] of [
    [plain, ""],
    [kills - plain, "background"],
  ]) {
    const { wrong, interrupted, steps } = await stopped("SIGKILL", times, background);
    const how = background === "" ? "" : " in the background";
    check(
      `kills: ${times} SIGKILLs of a program that trains and saves${how}: ${steps} steps, ${interrupted} saves cut off, the newest finished checkpoint verified and bit-exact each time`,
      tested(wrong, interrupted, steps),
    );
  }
});

await section("signals", async () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
    const { wrong, interrupted, steps } = await stopped(signal, short ? 8 : 30);
    check(
      `signals: ${short ? 8 : 30} times ${signal}: ${steps} steps, ${interrupted} saves cut off, nothing lost`,
      tested(wrong, interrupted, steps),
    );
  }
});

// --- disks ---------------------------------------------------------------------------------------------------------

function mounted(options, work) {
  const disk = mkdtempSync(join(root, "disk-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", disk]);
  return Promise.resolve(work(disk)).finally(() => {
    spawnSync("umount", ["-l", disk], { stdio: "ignore" });
  });
}

await section("disks", async () => {
  const program = new Program("saver.mjs");
  const { digest } = await program.next();
  const refusedWith = (answer, errno) =>
    answer.done === false && answer.code === "E_CKPT_IO" && answer.cause === errno && answer.digest === digest
      ? undefined
      : `expected E_CKPT_IO (${errno}), got ${JSON.stringify(answer)}`;
  const sizes = Array.from({ length: short ? 5 : 20 }, (_, i) => (short ? 4 * i : i) + 2);
  const wrong = [];
  let full = 0;
  for (const [what, options] of [
    ["pages", (n) => `size=${4 * n}k`],
    ["inodes", (n) => `size=1m,nr_inodes=${n}`],
  ]) {
    for (const n of sizes) {
      await mounted(options(n), async (disk) => {
        const answer = await program.ask(`save ${disk}/m`);
        if (answer.done) {
          wrong.push(await oldOrNew(`${disk}/m`, digest));
          return;
        }
        full++;
        wrong.push(refusedWith(answer, "ENOSPC"));
        if (readdirSync(disk).length > 0) wrong.push(`${n} ${what}: left ${readdirSync(disk)}`);
        if (!answer.message.includes(`'${disk}/m' is unchanged`)) wrong.push(`${n} ${what}: ${answer.message}`);
      });
    }
  }
  check(
    `disks: a full disk at ${full} of ${2 * sizes.length} sizes: one error, nothing left, nothing changed`,
    full > 3 ? wrong : [...wrong, "never full"],
  );
  await mounted("size=64k", async (disk) => {
    mkdirSync(join(disk, "m"));
    writeFileSync(join(disk, "filler"), new Uint8Array(56 << 10));
    const answer = await program.ask(`save ${disk}/m`);
    rmSync(join(disk, "filler"));
    const again = await program.ask(`save ${disk}/m`);
    check("disks: a full disk leaves an empty target empty; with room the same call succeeds", [
      refusedWith(answer, "ENOSPC"),
      again.done ? await oldOrNew(`${disk}/m`, digest) : JSON.stringify(again),
    ]);
  });
  await mounted("size=1m", async (disk) => {
    await program.ask(`save ${disk}/old`);
    execFileSync("mount", ["-o", "remount,ro", disk]);
    const answer = await program.ask(`save ${disk}/m`);
    const load = await program.ask(`load ${disk}/old`);
    check("disks: a read-only disk refuses a save and serves a load", [
      refusedWith(answer, "EROFS"),
      load.done && load.digest === digest ? undefined : JSON.stringify(load),
      await oldOrNew(`${disk}/old`, digest),
    ]);
  });
  // Taken away between the calls of a save: from then on its paths lead nowhere.
  const traced = new Program("saver.mjs", [], oneThread);
  await traced.next();
  const gone = [];
  for (let round = 0; round < (short ? 3 : 15); round++) {
    await mounted("size=1m", async (disk) => {
      // Each sync takes 20 ms, so that there is a middle.
      const detach = await attach(traced.pid, join(root, "trace"), ["inject=fsync:delay_exit=20000"]);
      const answer = traced.ask(`save ${disk}/m`);
      await sleep(20 + 15 * round);
      execFileSync("umount", ["-l", disk]);
      const result = await answer;
      await detach();
      if (!result.done && !(result.code === "E_CKPT_IO" || result.code === "E_CKPT_DIR"))
        gone.push(JSON.stringify(result));
      if (result.digest !== digest) gone.push("a variable changed");
      if (readdirSync(disk).length > 0) gone.push(`written beside the disk: ${readdirSync(disk)}`);
    });
  }
  check("disks: a disk taken away in the middle of a save: one error, or saved before", gone);
  await traced.stop();
  await program.stop();
});

// --- two processes, many saves -------------------------------------------------------------------------------------

await section("race", async () => {
  const programs = [7, 8, 9].map((seed) => new Program("saver.mjs", [String(seed)]));
  const digests = await Promise.all(programs.map(async (program) => (await program.next()).digest));
  const wrong = [];
  for (let round = 0; round < (short ? 10 : 100); round++) {
    const dir = join(root, `race-${round}`);
    const answers = await Promise.all(programs.map((program) => program.ask(`save ${dir}`)));
    const winners = answers.flatMap(({ done }, i) => (done ? [i] : []));
    if (winners.length !== 1) wrong.push(`round ${round}: ${winners.length} saved`);
    for (const { done, code } of answers) if (!done && code !== "E_CKPT_EXISTS") wrong.push(`round ${round}: ${code}`);
    wrong.push(await oldOrNew(dir, digests[winners[0]]));
    if (leftovers(root).length > 0) wrong.push(`round ${round}: left ${leftovers(root)}`);
  }
  check(
    `race: ${short ? 10 : 100} times three processes save to one path: one wins, the others get E_CKPT_EXISTS`,
    wrong,
  );
  for (const program of programs) await program.stop();
});

await section("many", async () => {
  const saves = short ? 200 : 1000;
  const { stdout, status, stderr } = spawnSync(
    process.execPath,
    ["--expose-gc", fileURLToPath(new URL("../test/checkpoint/faults/many.mjs", import.meta.url)), root, String(saves)],
    { encoding: "utf8" },
  );
  if (status !== 0) return check("many: the program failed", stderr);
  const { before, after } = JSON.parse(stdout);
  const growth = (after.rss - before.rss) / 2 ** 20;
  check(
    `many: ${saves} saves in one process, half of them in the background: ${growth.toFixed(1)} MB more, ${after.files} open files before and after`,
    [
      growth < 20 ? undefined : `memory grew by ${growth.toFixed(1)} MB`,
      after.files === before.files ? undefined : `${before.files} open files before, ${after.files} after`,
      after.resources === before.resources
        ? undefined
        : `resources before: ${before.resources}; after: ${after.resources}`,
    ],
  );
});

rmSync(root, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
