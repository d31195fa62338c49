import * as flow from "onestep";
import { tp } from "onestep";
import { afterEach, expect, test } from "vitest";

afterEach(() => flow.clearDefaultSession());

const cubic = flow.registerOp("testCubic", {
  infer: ([x], _: { readonly scale: number }) => x!,
  lower: ([x], { scale }) => x!.mul(x!).mul(x!).mul(scale),
  grad: ({ inputs: [x], dy, attrs: { scale } }) => [
    x!
      .mul(x!)
      .mul(3 * scale)
      .mul(dy),
  ],
});
/** Two outputs, and no gradient of its own: `lower` is differentiated. */
const sumAndProduct = flow.registerOp("testSumAndProduct", {
  infer: ([x]) => [x!, x!],
  lower: ([x, y]) => [x!.add(y!), x!.mul(y!)] as const,
});

test.each(["onnx", "reference"])("a registered op computes, and its gradient is used (%s)", async (engine) => {
  flow.config.engine(engine);
  const job = flow.globalFunction({ name: "custom", returns: tp.Numpy }, [tp.Numpy.Placeholder([3])], (x) => {
    const y = cubic([x], { scale: 2 }, { name: "cubic" });
    expect(y.opName).toBe("cubic");
    return flow.stack([y, flow.gradients(y, x), flow.gradients(flow.gradients(y, x), x)]);
  });
  // 2x³, 6x², 12x
  expect((await job([1, 2, -1])).toArray()).toEqual([
    [2, 16, -2],
    [6, 24, 6],
    [12, 24, -12],
  ]);
});

test("several outputs; without a gradient rule the lowering is differentiated, also in training", async () => {
  const job = flow.globalFunction(
    { type: "train", name: "train_job", returns: [tp.Numpy, tp.Numpy] },
    [tp.Numpy.Placeholder([1])],
    (x) => {
      const w = flow.getVariable("w", { shape: [1], initializer: flow.constantInitializer(3) });
      const [sum, product] = sumAndProduct([w, x]) as readonly [flow.Blob, flow.Blob];
      const sgd = new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [1]), { momentum: 0 });
      sgd.minimize(sum.add(product)); // dw = 1 + x
      return [sum, product];
    },
  );
  await new flow.train.CheckPoint().init();
  const [sum, product] = await job([5]);
  expect([sum.item(), product.item()]).toEqual([8, 15]);
  expect((await flow.experimental.getInterfaceBlobValue("w")).item()).toBe(3 - 6);
});

test("the documented builder chain", async () => {
  const job = flow.globalFunction({ name: "chain", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) => {
    const call = flow
      .userOpBuilder("mine")
      .Op("testCubic")
      .Input("in", [x])
      .Output("out")
      .Attr("scale", 1)
      .Build()
      .InferAndTryRun();
    expect(call.SoleOutputBlob().opName).toBe("mine");
    const [, product] = flow
      .userOpBuilder("pair")
      .Op("testSumAndProduct")
      .Input("a", [x])
      .Input("b", [x])
      .Build()
      .InferAndTryRun()
      .RemoteBlobList();
    return call.SoleOutputBlob().add(product!);
  });
  expect((await job([2, 3])).toArray()).toEqual([12, 36]);
});

test("wrong uses are named", async () => {
  const message = async (fn: () => unknown): Promise<string> => {
    try {
      await fn();
    } catch (error) {
      return (error as flow.FlowError).message;
    }
    throw new Error("nothing was thrown");
  };
  const register = (name: string, rules: object) => () => flow.registerOp(name, rules as never);
  const inJob = (fn: (x: flow.Blob) => unknown) => () =>
    flow.globalFunction({ name: "wrong" }, [tp.Numpy.Placeholder([2])], (x) => fn(x) as flow.Blob)([1, 2]);
  const rules = { infer: ([x]: flow.Blob[]) => x, lower: ([x]: flow.Blob[]) => x };
  expect(await message(register("relu", rules))).toContain("registerOp 'relu': an op of this name exists");
  expect(await message(register("testCubic", rules))).toContain("E_DUPLICATE");
  expect(await message(register("my op", rules))).toContain("E_NAME");
  expect(await message(register("testOther", { ...rules, gradient: () => [] }))).toContain("did you mean 'grad'?");
  expect(await message(register("testOther", { infer: rules.infer }))).toContain(
    "lower is undefined, expected a function",
  );
  const liar = flow.registerOp("testLiar", { infer: ([x]) => x!, lower: ([x]) => flow.cast(x!, "float64") });
  expect(await message(inJob((x) => liar([x])))).toContain(
    "registerOp 'testLiar': lower gave float64[2], infer says float32[2]; make them agree",
  );
  expect(await message(inJob((x) => cubic([x], { scale: null } as never)))).toContain(
    "testCubic: attribute scale is null",
  );
  expect(await message(inJob((x) => cubic([3 as never, x], { scale: 1 })))).toContain("E_ARGUMENT");
  expect(await message(inJob(() => flow.userOpBuilder("u").Op("testCubci").Build().InferAndTryRun()))).toContain(
    "no op 'testCubci' was registered; did you mean 'testCubic'?",
  );
  expect(
    await message(
      inJob((x) =>
        flow.userOpBuilder("u").Op("testSumAndProduct").Input("i", [x, x]).Build().InferAndTryRun().SoleOutputBlob(),
      ),
    ),
  ).toContain("testSumAndProduct has 2 outputs; use RemoteBlobList()");
});
