import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test } from "vitest";
import { failure } from "./support.js";

const declare = (name = "job") =>
  flow.globalFunction({ name, returns: tp.Numpy }, [tp.Numpy.Placeholder([1])], (x) => x.add(1));

test("an AbortSignal takes a queued call out; a call that runs is finished", async () => {
  const job = declare();
  await job([0]);
  const abort = new AbortController();
  const first = job([1]);
  const second = job.with({ signal: abort.signal })([2]);
  const third = job([3]);
  abort.abort();
  await expect(second).rejects.toMatchObject({ name: "AbortError" });
  expect((await first).item()).toBe(2);
  expect((await third).item()).toBe(4);
  await expect(job.with({ signal: AbortSignal.abort(new Error("too late")) })([1])).rejects.toThrow("too late");
  const running = new AbortController();
  const call = job.with({ signal: running.signal })([5]);
  expect((await call).item()).toBe(6);
  running.abort();
  expect((await failure(() => job.with({ signal: 3 as never }))).message).toContain("signal is the number 3");
  expect((await failure(() => job.with({ singal: undefined } as never))).message).toContain("did you mean 'signal'?");
});

test("an aborted call makes room at once", async () => {
  const job = declare();
  await job([0]);
  flow.config.maxQueuedCalls(2);
  const abort = new AbortController();
  const running = job([0]);
  const aborted = job.with({ signal: abort.signal })([1]);
  aborted.catch(() => undefined);
  expect((await failure(() => job([2]))).code).toBe("E_BUSY");
  abort.abort();
  expect((await job([3])).item()).toBe(4);
  await running;
});

test("the queue is bounded: what comes beyond the limit is refused by name, the rest is answered", async () => {
  const job = declare();
  await job([0]);
  flow.config.maxQueuedCalls(3);
  const results = await Promise.allSettled(Array.from({ length: 10 }, (_, i) => job([i])));
  const refused = results.filter(({ status }) => status === "rejected") as PromiseRejectedResult[];
  expect(refused).toHaveLength(7);
  expect(refused[0]!.reason).toMatchObject({ code: "E_BUSY" });
  expect(String(refused[0]!.reason)).toContain(
    "job 'job': 3 calls are waiting, the most that flow.config.maxQueuedCalls allows",
  );
  expect((await job([41])).item()).toBe(42);
  flow.config.maxQueuedCalls(Number.POSITIVE_INFINITY);
  expect(await Promise.all(Array.from({ length: 100 }, async (_, i) => (await job([i])).item()))).toEqual(
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
  expect((await failure(() => flow.config.maxQueuedCalls(0))).message).toContain("got 0, expected an integer");
});
