import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import * as flow from "onestep";
import { tp } from "onestep";
import { afterEach, expect, test, vi } from "vitest";
import { type Entry, retained } from "#src/checkpoint/manager.js";
import { failure, scratch } from "../jobs/support.js";

afterEach(() => {
  vi.restoreAllMocks();
});

/** What stderr was told since. */
function stderr(): () => string {
  const spy = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  return () => spy.mock.calls.map(([text]) => String(text)).join("");
}

/** A fresh session whose one variable is minus the number of steps. */
async function program() {
  await flow.clearDefaultSession();
  flow.config.engine("reference");
  const job = flow.globalFunction({ type: "train", name: "count", returns: tp.Numpy }, () => {
    const w = flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() });
    new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [1]), { momentum: 0 }).minimize(w);
    return w;
  });
  const look = flow.globalFunction({ name: "look", returns: tp.Numpy }, () =>
    flow.getVariable("w", { shape: [1], initializer: flow.zerosInitializer() }),
  );
  return {
    step: async (count: number) => {
      for (let i = 0; i < count; i++) await job();
    },
    value: async () => 0 - (await look()).item(),
  };
}

const { SimpleCheckPointManager } = flow.train;
const visible = (root: string): string[] => readdirSync(root).filter((name) => !name.startsWith("."));

test("as documented: initialises and saves, restores the newest, lists in order, deletes nothing", async () => {
  const root = join(scratch(), "a", "b");
  const first = await program();
  const manager = new SimpleCheckPointManager(root);
  expect(await manager.listCheckpoints()).toEqual([]);
  expect(await manager.latestCheckpoint()).toBe(null);
  expect(await manager.initializeOrRestore()).toBe(null);
  for (let i = 0; i < 5; i++) {
    await first.step(2);
    await manager.save();
  }
  const names = await manager.listCheckpoints();
  expect(names).toHaveLength(6);
  expect(visible(root)).toEqual(names);
  expect(names.every((name) => /^snapshot_\d{8}_\d{6}_\d{6}$/.test(name))).toBe(true);
  const again = await program();
  const second = new SimpleCheckPointManager(root);
  expect(await second.initializeOrRestore()).toBe(names.at(-1));
  expect(await again.value()).toBe(10);
});

test("order is that of recorded runs and saves, not of names or the clock", async () => {
  const root = scratch();
  const first = await program();
  const manager = new SimpleCheckPointManager(root, { prefix: "m-" });
  await manager.initializeOrRestore();
  await first.step(4);
  const later = await manager.save();
  // The clock went back by an age: the name of the newest sorts first.
  renameSync(later, join(root, "m-00000000_000000_000000"));
  expect((await manager.listCheckpoints()).at(-1)).toBe("m-00000000_000000_000000");
  // Another run goes back to the older checkpoint; its save has fewer steps and is newer all the same.
  const older = (await manager.listCheckpoints())[0]!;
  const second = await program();
  await new flow.train.CheckPoint().load(join(root, older));
  await second.step(1);
  const other = new SimpleCheckPointManager(root, "m-", { keepLast: 1 });
  const newest = await other.save();
  expect(await other.listCheckpoints()).toEqual([newest.slice(root.length + 1)]);
  await program();
  await other.initializeOrRestore();
});

test("what OneFlow or a hand made is listed first and never deleted; other prefixes are not seen", async () => {
  const root = scratch();
  const { step } = await program();
  const checkPoint = new flow.train.CheckPoint();
  await checkPoint.init();
  await checkPoint.save(join(root, "snapshot_z"));
  rmSync(join(root, "snapshot_z", "onestep.json"));
  await checkPoint.save(join(root, "snapshot_y"));
  mkdirSync(join(root, "other"));
  writeFileSync(join(root, "snapshot_notes.txt"), "");
  const manager = new SimpleCheckPointManager(root, "snapshot_", { keepLast: 1 });
  for (let i = 0; i < 3; i++) {
    await step(1);
    await manager.save();
  }
  const names = await manager.listCheckpoints();
  expect(names.slice(0, 2)).toEqual(["snapshot_y", "snapshot_z"]);
  expect(names).toHaveLength(3);
  expect(visible(root)).toEqual(expect.arrayContaining(["other", "snapshot_notes.txt"]));
});

test("skips what is unfinished or broken and says why; with nothing whole left it is an error, not a new start", async () => {
  const root = scratch();
  const first = await program();
  const manager = new SimpleCheckPointManager(root);
  await manager.initializeOrRestore();
  const paths: string[] = [];
  for (let i = 0; i < 3; i++) {
    await first.step(1);
    paths.push(await manager.save());
  }
  rmSync(join(paths[2]!, "snapshot_done"), { recursive: true });
  writeFileSync(join(paths[1]!, "w", "out"), new Uint8Array(4));
  const told = stderr();
  const second = new SimpleCheckPointManager(root);
  expect(await second.latestCheckpoint()).toBe(paths[0]!.slice(root.length + 1));
  await second.latestCheckpoint();
  const lines = told().trim().split("\n");
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/skipped 'snapshot_.*': it has no 'snapshot_done': its save never finished/);
  expect(lines[1]).toMatch(/skipped 'snapshot_.*sha256/);
  const again = await program();
  await second.initializeOrRestore();
  expect(await again.value()).toBe(1);

  writeFileSync(join(paths[0]!, "onestep.json"), "{");
  writeFileSync(join(root, (await second.listCheckpoints())[0]!, "w", "out"), new Uint8Array(3));
  const error = await failure(() => new SimpleCheckPointManager(root).initializeOrRestore());
  expect(error.code).toBe("E_CKPT_DIR");
  expect(error.message).toMatch(/none of its checkpoints is whole.*damaged.*repair one or move them away/s);
  for (const name of await second.listCheckpoints()) rmSync(join(root, name), { recursive: true });
  rmSync(paths[0]!, { recursive: true });
  // Only an unfinished one is left: nothing was ever saved.
  expect(await new SimpleCheckPointManager(root).initializeOrRestore()).toBe(null);
});

test("a failed save deletes nothing; extras and background pass through", async () => {
  const root = scratch();
  const { step } = await program();
  const manager = new SimpleCheckPointManager(root, { keepLast: 1 });
  await manager.initializeOrRestore();
  const before = await manager.listCheckpoints();
  const refused = await failure(() => manager.save({ extras: () => 1 } as object));
  expect(refused.code).toBe("E_ARGUMENT");
  expect(await manager.listCheckpoints()).toEqual(before);
  await step(1);
  await manager.save({ extras: { note: "kept" }, background: true });
  const [only] = await manager.listCheckpoints();
  const state = JSON.parse(readFileSync(join(root, only!, "onestep.json"), "utf8"));
  expect([state.extras, state.saved]).toEqual([{ note: "kept" }, { run: 1, save: 2, metric: null }]);
});

test("a deletion that fails is told and fails no save", async (context) => {
  if (process.getuid?.() !== 0) context.skip("needs two users");
  const root = join(scratch(), "shared");
  const { step } = await program();
  const manager = new SimpleCheckPointManager(root, { keepLast: 1 });
  await manager.initializeOrRestore();
  await step(1);
  // In a sticky folder nobody renames what another user made.
  chmodSync(join(root, ".."), 0o755);
  chmodSync(root, 0o1777);
  const told = stderr();
  process.seteuid!(65534);
  try {
    await manager.save();
  } finally {
    process.seteuid!(0);
  }
  expect(told()).toMatch(/an old checkpoint could not be deleted: EPERM/);
  expect(await manager.listCheckpoints()).toHaveLength(2);
  await manager.save();
  expect(await manager.listCheckpoints()).toHaveLength(1);
});

test("wrong arguments", async () => {
  const root = scratch();
  writeFileSync(join(root, "file"), "");
  const say = async (...args: unknown[]): Promise<string> =>
    (await failure(() => new SimpleCheckPointManager(...(args as [string])))).message;
  expect(await say("")).toMatch(/rootPath is empty/);
  expect(await say(join(root, "file"))).toMatch(/give a folder for checkpoints \[E_CKPT_DIR\]/);
  expect(await say(root, "../x")).toMatch(/prefix is '..\/x'/);
  expect(await say(root, { keeplast: 1 })).toMatch(/did you mean 'keepLast'/);
  expect(await say(root, { keepLast: 0 })).toMatch(/keepLast is 0, expected an integer from 1/);
  expect(await say(root, { mode: "least" })).toMatch(/mode is 'least'/);
  const manager = new SimpleCheckPointManager(root);
  expect((await failure(() => manager.save({ metric: "1" } as object))).message).toMatch(/metric is the string '1'/);
});

interface Model {
  readonly name: string;
  readonly step: number;
  readonly metric: number | null;
  readonly run: number;
  readonly save: number;
  whole: boolean;
}

/** The policy once more, as a sentence of the documentation each. */
function kept(
  all: readonly Model[],
  { keepLast, keepBest, keepEvery, mode = "min" }: flow.train.ManagerOptions,
): Model[] {
  const better = (a: Model, b: Model): boolean => (mode === "min" ? a.metric! < b.metric! : a.metric! > b.metric!);
  return all.filter((one, at) => {
    if (at === all.length - 1) return true;
    if (keepLast === undefined && keepBest === undefined && keepEvery === undefined) return true;
    if (keepLast !== undefined && at >= all.length - keepLast) return true;
    if (keepBest !== undefined && one.metric !== null) {
      const ahead = all.filter(
        (other, i) => other.metric !== null && (better(other, one) || (other.metric === one.metric && i < at)),
      );
      if (ahead.length < keepBest) return true;
    }
    if (keepEvery !== undefined) {
      const multiple = Math.floor(one.step / keepEvery);
      if (multiple > 0 && !all.slice(0, at).some((other) => Math.floor(other.step / keepEvery) === multiple))
        return true;
    }
    return false;
  });
}

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const policies = fc
  .record({
    keepLast: optional(fc.integer({ min: 1, max: 4 })),
    keepBest: optional(fc.integer({ min: 1, max: 3 })),
    keepEvery: optional(fc.integer({ min: 1, max: 6 })),
    mode: optional(fc.constantFrom<"min" | "max">("min", "max")),
  })
  .map(
    (all) =>
      Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as flow.train.ManagerOptions,
  );
const metrics = fc.oneof(fc.constant(undefined), fc.integer({ min: -3, max: 3 }), fc.constant(Number.NaN));

test("the policy alone: what stays is what the documentation says, for any listing", () => {
  fc.assert(
    fc.property(
      policies,
      fc.array(fc.tuple(fc.nat(3), fc.integer({ min: -3, max: 3 }), fc.boolean())),
      (policy, saves) => {
        let step = 0;
        const models = saves.map(([steps, metric, has], save): Model => {
          step += steps;
          return { name: `n${save}`, step, metric: has ? metric : null, run: 1, save, whole: true };
        });
        const entries = models.map(
          ({ name, step: at, run, save, metric }): Entry => ({ name, step: at, record: { run, save, metric } }),
        );
        expect([...retained(entries, policy)].sort()).toEqual(
          kept(models, policy)
            .map(({ name }) => name)
            .sort(),
        );
      },
    ),
    { numRuns: 2000 },
  );
});

type Event =
  | { readonly kind: "steps"; readonly count: number }
  | { readonly kind: "save"; readonly metric: number | undefined }
  | { readonly kind: "crash" | "crash while deleting" | "restart" }
  | { readonly kind: "delete"; readonly which: number }
  | { readonly kind: "damage"; readonly which: number };
const events: fc.Arbitrary<Event> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("steps" as const), count: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("save" as const), metric: metrics }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("crash" as const, "crash while deleting" as const, "restart" as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom("delete" as const, "damage" as const), fc.nat())
      .map(([kind, which]) => ({ kind, which })),
  },
);

test("any history keeps what its policy says, restores the newest whole checkpoint and never deletes the only good one", async () => {
  stderr();
  await fc.assert(
    fc.asyncProperty(policies, fc.array(events, { minLength: 4, maxLength: 14 }), async (policy, history) => {
      const root = scratch();
      let models: Model[] = [];
      let now = await program();
      let manager = new SimpleCheckPointManager(root, policy);
      let run = 1;
      let save = 0;
      let step = 0;
      let crashes = 0;
      const saved = async (path: string | undefined, metric: number | undefined): Promise<void> => {
        const names = await manager.listCheckpoints();
        const name = path?.slice(root.length + 1) ?? names.at(-1)!;
        const before = models.filter(({ whole }) => whole).length;
        models.push({
          name,
          step,
          metric: metric === undefined || Number.isNaN(metric) ? null : metric,
          run,
          save: save++,
          whole: true,
        });
        models = kept(models, policy);
        expect(names).toEqual(models.map((model) => model.name));
        if (before > 0) expect(models.some(({ whole }) => whole)).toBe(true);
      };
      const start = async (): Promise<void> => {
        const newest = models.findLast(({ whole }) => whole);
        if (newest === undefined && models.length > 0) {
          expect((await failure(() => manager.initializeOrRestore())).code).toBe("E_CKPT_DIR");
          // The user moves the broken ones away.
          for (const { name } of models) rmSync(join(root, name), { recursive: true });
          models = [];
        }
        run = 1 + Math.max(0, ...models.map((model) => model.run));
        save = 0;
        const restored = await manager.initializeOrRestore();
        expect(restored).toBe(newest?.name ?? null);
        step = newest?.step ?? 0;
        if (restored === null) await saved(undefined, undefined);
        expect(await now.value()).toBe(step);
      };
      await start();
      for (const event of history) {
        if (event.kind === "steps") {
          await now.step(event.count);
          step += event.count;
        } else if (event.kind === "save") {
          await saved(await manager.save(event.metric === undefined ? {} : { metric: event.metric }), event.metric);
        } else if (event.kind === "crash") {
          // A save that died: beside the target, or on a file system without renames in it, marked last.
          const part = join(root, `snapshot_crash${crashes++}`);
          mkdirSync(join(part, "w"), { recursive: true });
          writeFileSync(join(part, "w", "out"), new Uint8Array(4));
        } else if (event.kind === "crash while deleting") {
          mkdirSync(join(root, `.snapshot_gone${crashes}.${String(crashes++).padStart(12, "0")}.deleting`, "w"), {
            recursive: true,
          });
        } else if (event.kind === "restart") {
          now = await program();
          manager = new SimpleCheckPointManager(root, policy);
          await start();
        } else if ("which" in event && models.length > 0) {
          const model = models[event.which % models.length]!;
          if (event.kind === "delete") {
            rmSync(join(root, model.name), { recursive: true });
            models = models.filter((other) => other !== model);
          } else {
            writeFileSync(join(root, model.name, "w", "out"), new Uint8Array([1, 2, 3, event.which & 255]));
            model.whole = false;
          }
        }
        expect(await manager.listCheckpoints()).toEqual(models.map(({ name }) => name));
        expect(await manager.latestCheckpoint()).toBe(models.findLast(({ whole }) => whole)?.name ?? null);
      }
      // What crashes left with a full name is untouched; what a deletion left goes with the next save.
      await manager.save();
      expect(readdirSync(root).filter((name) => name.endsWith(".deleting"))).toEqual([]);
      expect(visible(root).filter((name) => name.startsWith("snapshot_crash")).length).toBe(
        history.filter(({ kind }) => kind === "crash").length,
      );
      rmSync(root, { recursive: true });
    }),
    { numRuns: 40 },
  );
}, 120_000);

test("the best survives a restart and a change of its neighbours", async () => {
  const root = scratch();
  const first = await program();
  const options = { keepLast: 1, keepBest: 1, mode: "max" as const };
  const manager = new SimpleCheckPointManager(root, options);
  await manager.initializeOrRestore();
  const accuracies = [0.5, 0.9, 0.7, 0.8];
  const paths: string[] = [];
  for (const metric of accuracies) {
    await first.step(1);
    paths.push(await manager.save({ metric }));
  }
  await program();
  const second = new SimpleCheckPointManager(root, options);
  await second.initializeOrRestore();
  expect(await second.bestCheckpoint()).toBe(paths[1]!.slice(root.length + 1));
  const newest = await second.save({ metric: 0.6 });
  expect(await second.listCheckpoints()).toEqual([paths[1]!, newest].map((path) => path.slice(root.length + 1)));
  cpSync(paths[1]!, join(root, "elsewhere"), { recursive: true });
  const better = await second.save({ metric: 0.95 });
  expect(await second.listCheckpoints()).toEqual([better.slice(root.length + 1)]);
});
