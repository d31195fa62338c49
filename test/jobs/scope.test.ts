import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { failure } from "./support.js";

const initializer = flow.zerosInitializer();

/** Runs `fn` inside a job and gives what it collected. */
async function inJob<T>(fn: (x: flow.Blob) => T, options: object = {}): Promise<T> {
  let result: T | undefined;
  const job = flow.globalFunction(
    { name: "scopes", ...options, returns: tp.Numpy },
    [tp.Numpy.Placeholder([1])],
    (x) => {
      result = fn(x);
      return x;
    },
  );
  try {
    await job([1]);
  } finally {
    await flow.clearDefaultSession();
  }
  return result as T;
}

test("namespaces nest, by callback and by using, under each of their names; re-entering gives the same prefix", async () => {
  const names = await inJob(() => {
    const variable = () => flow.getVariable("var", { shape: [1], initializer }).opName;
    const made = [flow.scope.namespace("backbone", () => flow.nameScope("branch", variable))];
    {
      using _outer = flow.scope.namespace("backbone");
      using _inner = flow.experimental.nameScope("branch");
      made.push(variable(), flow.currentScope().namePrefix);
    }
    made.push(
      flow.deprecated.variableScope("tower", () => variable()),
      variable(),
    );
    return made;
  });
  expect(names).toEqual(["backbone-branch-var", "backbone-branch-var", "backbone-branch-", "tower-var", "var"]);
});

test("placement and views nest and are restored, after exceptions too", async () => {
  const seen = await inJob(() => {
    const state = () => {
      const { placement, view, deviceParallelDescSymbol } = flow.currentScope();
      return `${placement.deviceTag} ${placement.machineDeviceIds.join()} ${view} ${deviceParallelDescSymbol.deviceTag}`;
    };
    const states = [state()];
    flow.scope.placement("gpu", ["0:0-1"], () => {
      flow.scope.mirroredView(() => {
        states.push(state());
        expect(flow.scope.mirroredViewEnabled()).toBe(true);
        flow.scope.consistentView(() => states.push(state()));
      });
      expect(() =>
        flow.scope.placement("cpu", "0:1", () => {
          states.push(state());
          throw new Error("inside");
        }),
      ).toThrow("inside");
      states.push(state());
    });
    {
      using _placement = flow.scope.placement("cpu", "0:2");
      using _view = flow.distribute.mirroredStrategy();
      states.push(state());
    }
    states.push(state());
    expect(flow.scope.consistentViewEnabled()).toBe(true);
    return states;
  });
  expect(seen).toEqual([
    "cpu 0:0 consistent cpu",
    "gpu 0:0-1 mirrored gpu",
    "gpu 0:0-1 consistent gpu",
    "cpu 0:1 consistent cpu",
    "gpu 0:0-1 consistent gpu",
    "cpu 0:2 mirrored cpu",
    "cpu 0:0 consistent cpu",
  ]);
});

test("a scope left open when its function throws ends with the job; the next starts clean", async () => {
  await expect(
    inJob(() => {
      flow.scope.namespace("left-open");
      throw new Error("the job failed");
    }),
  ).rejects.toThrow("the job failed");
  expect(await inJob(() => flow.currentScope().namePrefix)).toBe("");
});

test("leaving scopes out of order, and other wrong uses", async () => {
  const message = async (fn: () => unknown) => (await failure(() => inJob(fn))).message;
  expect(
    await message(() => {
      const outer = flow.scope.namespace("a");
      flow.scope.namespace("b");
      outer[Symbol.dispose]();
    }),
  ).toContain("scopes must be left in the reverse order");
  expect(await message(() => flow.scope.namespace("", () => 1))).toContain("the name is empty");
  expect(await message(() => flow.scope.placement("tpu" as never, "0:0", () => 1))).toContain(`device tag is 'tpu'`);
  expect(await message(() => flow.scope.placement("cpu", [], () => 1))).toContain("expected an id");
  expect(await message(() => flow.scope.placement("cpu", "0:3-1", () => 1))).toContain("'0:3-1' is malformed");
  expect(await message(() => flow.scope.mirroredView(3 as never))).toContain("the last argument is the number 3");
  expect(await message(() => flow.scope.namespace("a", async () => 1))).toContain("must not be async");
  expect((await failure(() => flow.scope.namespace("a", () => 1))).code).toBe("E_OUTSIDE_JOB");
});

test("outside jobs a scope is a value, for function configs", async () => {
  const config = flow.functionConfig();
  config.defaultLogicalView(flow.scope.mirroredView());
  config.defaultPlacementScope(flow.scope.placement("cpu", "0:3"));
  expect(flow.scope.mirroredViewEnabled()).toBe(false);
  const scope = await inJob(() => flow.currentScope(), { functionConfig: config });
  expect(scope.view).toBe("mirrored");
  expect(scope.placement.machineDeviceIds).toEqual(["0:3"]);
});

test("distribute: one object for each kind; layers and variables take them", async () => {
  const { split, broadcast, auto } = flow.distribute;
  expect(split(1)).toBe(split(1));
  expect(broadcast()).toBe(broadcast());
  expect(auto().kind).toBe("auto");
  expect((await failure(() => split(11))).message).toContain("expected an integer from 0 to 10");
  const shape = await inJob((x) => {
    flow.getVariable("v", { shape: [2], initializer, distribute: split(0) });
    return flow.layers.dense(flow.reshape(x, [1, 1]), 4, { modelDistribute: split(0) }).shape;
  });
  expect(shape).toEqual([1, 4]);
});

test("currentGlobalFunctionDesc tells the job and whether it trains", async () => {
  const desc = await inJob(() => flow.currentGlobalFunctionDesc());
  expect([desc.jobName, desc.IsTrainable()]).toEqual(["scopes", false]);
  expect((await failure(() => flow.currentGlobalFunctionDesc())).code).toBe("E_OUTSIDE_JOB");
});
