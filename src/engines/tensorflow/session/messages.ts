import type { EdgeType } from "../edge.js";

/** A value for a placeholder of the graph. */
export interface Feed {
  readonly name: string;
  readonly type: EdgeType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** What the worker thread is started with. */
export interface Start {
  readonly binding: string;
  readonly threads: number | undefined;
  /** The memory of the gate. */
  readonly gate: SharedArrayBuffer;
}

/** What the worker thread is asked. */
export type Request =
  | { readonly kind: "load"; readonly directory: string; readonly tag: string }
  | {
      readonly kind: "run";
      readonly model: number;
      readonly feeds: readonly Feed[];
      readonly fetches: readonly string[];
    }
  | { readonly kind: "release"; readonly model: number };

/** What it answers: a model's number, the fetched buffers, or TensorFlow's words. */
export type Answer =
  | { readonly id: number; readonly model: number }
  | { readonly id: number; readonly buffers: readonly ArrayBuffer[] }
  | { readonly id: number; readonly error: string };

/** The worker's first message. */
export type Hello = { readonly version: string; readonly gpu: boolean } | { readonly broken: string };
