// Small programs for the tests of onInterrupt; argument 1 is which, as JSON.
import * as flow from "onestep";

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const forever = (): NodeJS.Timeout => setInterval(() => {}, 1000);

switch (JSON.parse(process.argv[2]!) as string) {
  case "idle":
    flow.train.onInterrupt(() => say("never"));
    say("ready");
    break;
  case "several": {
    forever();
    flow.train.onInterrupt(async () => say("first"));
    const removed = flow.train.onInterrupt(() => say("removed"));
    removed();
    removed();
    {
      using _scoped = flow.train.onInterrupt(() => say("scoped"));
    }
    flow.train.onInterrupt(() => say("second"));
    say("ready");
    break;
  }
  case "removed": {
    forever();
    flow.train.onInterrupt(() => say("never"))();
    say("ready");
    break;
  }
  case "failing":
    forever();
    flow.train.onInterrupt(async () => {
      throw new Error("the disk is full");
    });
    say("ready");
    break;
  case "hanging":
    forever();
    flow.train.onInterrupt(async () => {
      say("saving");
      await new Promise(() => {});
    });
    say("ready");
    break;
  case "left":
    // The loop is left with a batch in hand while the signal waits for it to ask for the next.
    forever();
    flow.train.onInterrupt(() => say("saved"));
    for await (const batch of flow.data.batches(new Int32Array(4), { batchSize: 1 })) {
      say("ready");
      await new Promise((resolve) => process.once("SIGTERM", resolve));
      say(`left ${batch.length}`);
      break;
    }
    break;
}
