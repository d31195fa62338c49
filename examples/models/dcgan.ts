import * as flow from "onestep";
import { scaled } from "./cnn-options.js";

/** Options of both networks. */
export interface DcganOptions {
  /** Whether this job trains the network's own weights; default true. */
  readonly trainable?: boolean;
  /** Multiplies the number of channels; default 1. Ours, for tests. */
  readonly width?: number;
}

const initializer = flow.randomNormalInitializer(0, 0.02);

/**
 * The generator of OneFlow-Benchmark v0.2.0 (`Generative/dcgan.py`): images [batch, 1, 28, 28] in (-1, 1) of noise [batch, 100]. 16
 * variables, 2,330,944 parameters, 2,305,472 of them trainable. As there, its batch normalizations are trainable in every job,
 * whatever `trainable` says of the weights.
 */
export function generator(z: flow.Blob, { trainable = true, width = 1 }: DcganOptions = {}): flow.Blob {
  const batch = z.shape[0]!;
  const deconv = (name: string, x: flow.Blob, filters: number, strides: number): flow.Blob => {
    const [, channels, height, breadth] = x.shape as [number, number, number, number];
    const weight = flow.getVariable(`${name}-weight`, { shape: [channels, filters, 5, 5], initializer, trainable });
    return flow.nn.conv2dTranspose(x, weight, [batch, filters, height * strides, breadth * strides], {
      strides,
      padding: "SAME",
      name,
    });
  };
  const normalized = (name: string, x: flow.Blob): flow.Blob =>
    flow.nn.leakyRelu(flow.layers.batchNormalization(x, { axis: 1, name }), { alpha: 0.3 });

  const channels = scaled(256, width);
  const dense = flow.layers.dense(z, 7 * 7 * channels, {
    useBias: false,
    kernelInitializer: initializer,
    trainable,
    name: "g_fc1",
  });
  const h0 = flow.reshape(normalized("g_bn1", dense), [batch, channels, 7, 7]);
  const h1 = normalized("g_bn2", deconv("g_deconv1", h0, scaled(128, width), 1));
  const h2 = normalized("g_bn3", deconv("g_deconv2", h1, scaled(64, width), 2));
  return flow.math.tanh(deconv("g_deconv3", h2, 1, 2));
}

/** Options of `discriminator`. */
export interface DiscriminatorOptions extends DcganOptions {
  /** Uses the variables that an earlier call in this job has made; default false. */
  readonly reuse?: boolean;
}

/**
 * The discriminator: logits [batch, 1] of images [batch, 1, 28, 28]. 5 variables, 212,864 parameters. Its convolutions are the
 * original's `compat_conv2d`, whose SAME puts the odd cell of padding after.
 */
export function discriminator(
  images: flow.Blob,
  { trainable = true, reuse = false, width = 1 }: DiscriminatorOptions = {},
): flow.Blob {
  const variable = (name: string, shape: readonly number[], start: flow.Initializer = initializer): flow.Blob =>
    flow.getVariable(name, { shape, initializer: start, trainable, reuse });
  const named = (name: string): string => (reuse ? `${name}_reuse` : name);
  const conv = (name: string, x: flow.Blob, filters: number): flow.Blob => {
    const weight = variable(`${name}-weight`, [filters, x.shape[1]!, 5, 5]);
    const y = flow.nn.compatConv2d(x, weight, 2, "SAME", { name: named(name) });
    const biased = flow.nn.biasAdd(y, variable(`${name}-bias`, [filters], flow.zerosInitializer()));
    return flow.nn.dropout(flow.nn.leakyRelu(biased, { alpha: 0.3 }), 0.3);
  };
  const h0 = conv("d_conv1", images, scaled(64, width));
  const h1 = conv("d_conv2", h0, scaled(128, width));
  const flat = flow.reshape(h1, [images.shape[0]!, -1]);
  return flow.matmul(flat, variable("d_fc-weight", [1, flat.shape[1]!]), {
    transposeB: true,
    name: named("d_fc-matmul"),
  });
}
