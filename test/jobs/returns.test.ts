import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { failure } from "./support.js";

const x2 = tp.Numpy.Placeholder([2]);
const twice = (x: flow.Blob): flow.Blob => x.add(x);

test("tp.ListNumpy and tp.ListListNumpy wrap each array for one device", async () => {
  const job = flow.globalFunction({ name: "lists", returns: [tp.ListNumpy, tp.ListListNumpy] }, [x2], (x) => [
    x,
    twice(x),
  ]);
  const [list, lists] = await job([1, 2]);
  expect(list).toHaveLength(1);
  expect(list[0].toArray()).toEqual([1, 2]);
  expect(lists[0][0].toArray()).toEqual([2, 4]);
});

test("tp.Bundle keeps the nesting the function returned", async () => {
  const job = flow.globalFunction({ name: "bundle", returns: tp.Bundle(tp.ListNumpy) }, [x2], (x) => ({
    a: x,
    more: [twice(x), { deep: x }] as const,
  }));
  const { a, more } = await job([1, 2]);
  expect(a[0].toArray()).toEqual([1, 2]);
  expect(more[0][0].toArray()).toEqual([2, 4]);
  expect(more[1].deep[0].toArray()).toEqual([1, 2]);
  const wrong = flow.globalFunction({ name: "wrong", returns: tp.Bundle(tp.Numpy) }, [x2], (x) => [x, 3] as never);
  expect((await failure(() => wrong([1, 2]))).message).toMatch(/returned number at \[1\], expected Blobs/);
});

test("tp.Callback: the call gives a function; the callback runs once with one value", async () => {
  const job = flow.globalFunction({ name: "callback", returns: tp.Callback([tp.Numpy, tp.Numpy]) }, [x2], (x) => [
    x,
    twice(x),
  ]);
  const seen: unknown[] = [];
  const pending: Promise<void>[] = [];
  for (let i = 0; i < 3; i++)
    pending.push(
      job([i, i])((...values) => {
        seen.push(values);
      }),
    );
  expect(seen).toEqual([]);
  await Promise.all(pending);
  expect(seen).toHaveLength(3);
  const [pair] = seen[2] as [readonly [flow.NdArray, flow.NdArray]];
  expect(pair[1].toArray()).toEqual([4, 4]);
  await expect(
    job([1, 1])(() => {
      throw new Error("from the callback");
    }),
  ).rejects.toThrow("from the callback");
  expect((await failure(() => job([1] as never)(() => undefined))).code).toBe("E_SHAPE");
  expect((await failure(() => job([1, 1])(undefined as never))).message).toContain("job(...)(callback)");
});

test("null: the function returns nothing and the call gives null", async () => {
  const job = flow.globalFunction({ name: "nothing", returns: null }, [x2], (x) => {
    flow.watch(x, () => undefined);
  });
  expect(await job([1, 2])).toBeNull();
  const wrong = flow.globalFunction({ name: "wrong", returns: null }, [x2], (x) => x as never);
  expect((await failure(() => wrong([1, 2]))).message).toContain("returned a Blob, expected nothing (declared null)");
});

test("a job that computes nothing runs", async () => {
  const job = flow.globalFunction({ name: "empty", returns: null }, [x2], () => undefined);
  const made = flow.globalFunction({ name: "made" }, () => {
    flow.getVariable("v", { shape: [2], initializer: flow.onesInitializer() });
  });
  await new flow.train.CheckPoint().init();
  expect([await job([1, 2]), await made()]).toEqual([null, null]);
  expect((await flow.experimental.getInterfaceBlobValue("v")).toArray()).toEqual([1, 1]);
});

test("wrong declarations are named where they are made", async () => {
  const declare = (returns: unknown) =>
    failure(() => flow.globalFunction({ name: "wrong", returns: returns as never }, [x2], (x) => x as never));
  for (const [returns, message] of [
    ["Numpy", "returns of job 'wrong' is the string 'Numpy', expected tp.Numpy"],
    [undefined, "is undefined, expected tp.Numpy or another type; null stands for nothing"],
    [tp.Callback, "is a function; tp.Callback and tp.Bundle take the type of the value"],
    [[tp.Numpy, tp.Callback(tp.Numpy)], "returns of job 'wrong'.1 is a tp.Callback; it can only be the whole"],
    [{ a: 3 }, "returns of job 'wrong'.a is the number 3"],
  ] as const) {
    const error = await declare(returns);
    expect(error.code).toBe("E_RETURNS");
    expect(error.message).toContain(message);
  }
  expect((await failure(() => tp.Bundle(null as never))).message).toContain("tp.Bundle: expected tp.Numpy");
});

test("tuples of placeholders, and the older placeholder classes", async () => {
  const job = flow.globalFunction(
    { name: "tuples", returns: tp.Numpy },
    [[x2, new flow.FixedTensorDef([2], { dtype: flow.int32 })], new flow.MirroredTensorDef([2])],
    ([a, b], c) => a.add(flow.cast(b, flow.float)).add(c),
  );
  expect((await job([[1, 2], Int32Array.of(10, 20)], [[100, 200]])).toArray()).toEqual([111, 222]);
  expect((await failure(() => job([[1, 2]] as never, [[1, 2]]))).message).toContain(
    "job 'tuples', argument 0: got a list of 1, expected a list of 2",
  );
  expect(
    (
      await failure(() =>
        job(
          [
            [1, 2],
            [1.5, 2],
          ],
          [[1, 2]],
        ),
      )
    ).message,
  ).toContain("argument 0[1][0]: 1.5");
  expect((await failure(() => flow.globalFunction({ name: "p" }, [3 as never], () => null))).message).toContain(
    "placeholder 0 of job 'p' is the number 3",
  );
});

test("experimental.enableTypingCheck makes returns mandatory", async () => {
  flow.experimental.enableTypingCheck(true);
  expect((await failure(() => flow.globalFunction({ name: "free" }, [x2], (x) => x))).message).toContain(
    "job 'free' declares no returns",
  );
  await flow.clearDefaultSession();
  flow.globalFunction({ name: "free" }, [x2], (x) => x);
});
