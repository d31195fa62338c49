import type { Blob } from "../graph/blob.js";
import { currentBuilder, type GraphBuilder } from "../graph/trace.js";
import { requireBlob } from "../ops/define.js";

const added = new WeakMap<GraphBuilder, Blob[]>();

/**
 * Inside a train job: adds a loss for the optimizer of the job's function config (`train.primaryLr`,
 * `train.modelUpdateConf`). A call of an optimizer's `minimize` takes the place of all losses added, as documented.
 * @flow losses.add_loss
 */
export function addLoss(loss: Blob): void {
  const builder = currentBuilder("losses.addLoss");
  requireBlob("losses.addLoss", "loss", loss);
  added.set(builder, [...addedLosses(builder), loss]);
}

/** The losses that a job's function added, in order. */
export function addedLosses(builder: GraphBuilder): readonly Blob[] {
  return added.get(builder) ?? [];
}
