import * as flow from "onestep";
import { tp } from "onestep";
import { discriminator, generator } from "./dcgan.js";

/** Options of `dcganJobs`. */
export interface DcganJobOptions {
  readonly batch: number;
  /** Default 1e-5, the original's script. */
  readonly learningRate?: number;
  readonly width?: number;
}

/** The two train jobs of `dcgan.py`, which share their variables: each trains one of the networks against the other. */
export function dcganJobs({ batch, learningRate = 1e-5, width = 1 }: DcganJobOptions) {
  const noise = tp.Numpy.Placeholder([batch, 100]);
  const adam = () => new flow.optimizer.Adam(new flow.optimizer.PiecewiseConstantScheduler([], [learningRate]));
  const trainGenerator = flow.globalFunction(
    { type: "train", name: "train_generator", returns: { gLoss: tp.Numpy, images: tp.Numpy } },
    [noise],
    (z) => {
      const images = generator(z, { width });
      const logits = discriminator(images, { trainable: false, width });
      const gLoss = flow.nn.sigmoidCrossEntropyWithLogits(flow.onesLike(logits), logits);
      adam().minimize(gLoss);
      return { gLoss, images };
    },
  );
  const trainDiscriminator = flow.globalFunction(
    { type: "train", name: "train_discriminator", returns: { dLoss: tp.Numpy, fake: tp.Numpy, real: tp.Numpy } },
    [noise, tp.Numpy.Placeholder([batch, 1, 28, 28])],
    (z, images) => {
      const onFake = discriminator(generator(z, { trainable: false, width }), { width });
      const fake = flow.nn.sigmoidCrossEntropyWithLogits(flow.zerosLike(onFake), onFake);
      const onReal = discriminator(images, { reuse: true, width });
      const real = flow.nn.sigmoidCrossEntropyWithLogits(flow.onesLike(onReal), onReal);
      const dLoss = fake.add(real);
      adam().minimize(dLoss);
      return { dLoss, fake, real };
    },
  );
  return { trainGenerator, trainDiscriminator };
}
