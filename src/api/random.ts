/**
 * Random numbers, drawn at each call on the host: the same on every engine and after a resume.
 * @module
 */

export { genSeed } from "../job/gen-seed.js";
export {
  type BernoulliOptions,
  bernoulli,
  generateRandomBatchPermutationIndices,
  type RandomOptions,
  shuffle,
} from "../ops/random.js";
