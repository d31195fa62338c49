import { FlowError, plainText } from "../core/errors.js";
import { activeBuilder, currentBuilder, type GraphBuilder, scoped } from "../graph/trace.js";

/** The kind of a device. */
export type DeviceTag = "cpu" | "gpu";

/** Where ops of a scope run: a device tag and ids such as `0:0` or `0:0-3`. */
export interface Placement {
  /** The kind of device. */
  readonly deviceTag: DeviceTag;
  /** `machine:device` or `machine:first-last`, one or several. */
  readonly machineDeviceIds: readonly string[];
}

/** How a job sees several devices; with one device values are arrays, or lists of one. */
export type View = "consistent" | "mirrored";

/** A scope that is only named: what `functionConfig().defaultLogicalView(...)` and `defaultPlacementScope(...)` take. */
export interface ScopeValue extends Disposable {
  /** The view that it names. */
  readonly view?: View;
  /** The placement that it names. */
  readonly placement?: Placement;
}

/** The placements and views that are open, innermost last. */
interface Scopes {
  readonly placements: Placement[];
  readonly views: View[];
  /** Regions of recomputation, numbered in the job. */
  readonly regions: number[];
}

const cpu: Placement = Object.freeze({ deviceTag: "cpu", machineDeviceIds: Object.freeze(["0:0"]) });
const outside: Scopes = { placements: [cpu], views: ["consistent"], regions: [] };
const ofJobs = new WeakMap<GraphBuilder, Scopes>();

/** Sets the scopes a job's function starts in: what its function config says. */
export function openScopes(builder: GraphBuilder, { placement, view }: { placement?: Placement; view?: View }): void {
  const placements = [placement ?? outside.placements.at(-1)!];
  const regions: number[] = [];
  ofJobs.set(builder, { placements, views: [view ?? outside.views.at(-1)!], regions });
  // Of nested ones the outermost counts.
  builder.region = () => regions[0];
  builder.device = () => deviceOf(placements.at(-1)!);
}

/** The device of a placement as nodes carry it: of several the first, since a step runs on one. */
function deviceOf(placed: Placement): string | undefined {
  if (placed.deviceTag === "gpu") return `gpu:${/:(\d+)/.exec(placed.machineDeviceIds[0]!)![1]}`;
  return placed === cpu ? undefined : "cpu";
}

function scopes(): Scopes {
  const builder = activeBuilder();
  return (builder === undefined ? undefined : ofJobs.get(builder)) ?? outside;
}

let warned = false;

/** Says, once in a process, that ops placed on a GPU run on the CPU. */
export function warnOfNoGpu(): void {
  if (warned) return;
  warned = true;
  process.stderr.write('onestep: scope.placement("gpu"): no GPU engine here, running on the CPU\n');
}

/**
 * Runs `fn` with ops placed on a device: tag "cpu" or "gpu", ids like "0:0" or "0:0-3", or several, of which the first counts. Ops
 * on a GPU need the tensorflow engine on a tfjs-node-gpu; elsewhere they run on the CPU, which is said once on stderr when the job
 * starts. Inside a job and without `fn` it holds until the result is disposed:
 * `using _ = flow.scope.placement("cpu", "0:0")`; outside one the result only names the placement, for a function config.
 * @flow scope.placement @flow fixed_placement
 * @example
 * ```ts job
 * // x = [1, 2]
 * flow.scope.placement("cpu", "0:0", () => x.add(1)); // -> [2, 3]
 * ```
 */
export function placement(deviceTag: DeviceTag, machineDeviceIds: string | readonly string[]): ScopeValue;
export function placement<T>(deviceTag: DeviceTag, machineDeviceIds: string | readonly string[], fn: () => T): T;
export function placement<T>(
  deviceTag: string,
  machineDeviceIds: string | readonly string[],
  fn?: () => T,
): T | ScopeValue {
  const where = "scope.placement";
  if (deviceTag !== "cpu" && deviceTag !== "gpu")
    throw new FlowError("E_DEVICE", `${where}: device tag is ${plainText(deviceTag)}, expected "cpu" or "gpu"`);
  const ids = typeof machineDeviceIds === "string" ? [machineDeviceIds] : machineDeviceIds;
  if (!Array.isArray(ids) || ids.length === 0)
    throw new FlowError(
      "E_DEVICE",
      `${where}: the devices are ${String(ids)}, expected an id such as "0:0", or several`,
    );
  for (const id of ids) {
    const match = /^(\d+):(\d+)(?:-(\d+))?$/.exec(String(id));
    if (match === null || Number(match[3] ?? match[2]) < Number(match[2]))
      throw new FlowError(
        "E_DEVICE",
        `${where}: device '${String(id)}' is malformed, expected machine:device or machine:first-last, such as "0:0" or "0:0-3"`,
      );
  }
  const entry: Placement = Object.freeze({ deviceTag, machineDeviceIds: Object.freeze([...ids]) });
  if (fn === undefined && activeBuilder() === undefined) return named({ placement: entry });
  return scoped(where, scopes().placements, entry, fn) as T | ScopeValue;
}

/**
 * Runs `fn` in the consistent view, where a blob is one array over all devices; the default. Without `fn`: as `placement`.
 * @flow scope.consistent_view @flow distribute.consistent_strategy
 */
export function consistentView(): ScopeValue;
export function consistentView<T>(fn: () => T): T;
export function consistentView<T>(fn?: () => T): T | ScopeValue {
  return viewed("scope.consistentView", "consistent", fn);
}

/**
 * Runs `fn` in the mirrored view, where each device has its own array; with one device the values are the same, and
 * lists of one where `tp.ListNumpy` says so. Without `fn`: as `placement`.
 * @flow scope.mirrored_view @flow distribute.mirrored_strategy
 * @example
 * ```ts job
 * // x = [1, 2]
 * flow.scope.mirroredView(() => x.add(Number(flow.scope.mirroredViewEnabled()))); // -> [2, 3]
 * ```
 */
export function mirroredView(): ScopeValue;
export function mirroredView<T>(fn: () => T): T;
export function mirroredView<T>(fn?: () => T): T | ScopeValue {
  return viewed("scope.mirroredView", "mirrored", fn);
}

function viewed<T>(where: string, view: View, fn: (() => T) | undefined): T | ScopeValue {
  if (fn === undefined && activeBuilder() === undefined) return named({ view });
  return scoped(where, scopes().views, view, fn) as T | ScopeValue;
}

/**
 * Runs `fn`, whose activations are not kept for the gradients but computed again for them: memory for time. What comes into `fn` and
 * what leaves it is kept, so put each block of a deep model into a region of its own: it then needs the memory of its blocks' results
 * and of one block's activations, and a step about a third more time (a second forward pass). Random masks are the same the second
 * time, and variables are updated once (batch normalization). Gradients are the same; where an engine merges ops by who else uses a
 * value, their last bit may differ. A region inside another is part of it. It changes nothing in predict jobs, where nothing is kept.
 * Without `fn` it holds until the result is disposed: `using _ = flow.scope.recompute()`.
 * @example
 * ```ts job
 * // x = [[1, 2]]
 * const kernelInitializer = flow.onesInitializer();
 * const block = (y: flow.Blob, name: string) =>
 *   flow.scope.recompute(() => flow.layers.dense(flow.math.square(y), 2, { kernelInitializer, name }));
 * const y = block(block(x, "first"), "second");
 * flow.gradients(y, [x])[0]!.add(0); // -> [[80, 160]]
 * ```
 */
export function recompute(): Disposable;
export function recompute<T>(fn: () => T): T;
export function recompute<T>(fn?: () => T): T | Disposable {
  const where = "scope.recompute";
  // The number of its first node.
  const region = currentBuilder(where).nodes.length;
  return scoped(where, scopes().regions, region, fn);
}

const named = (value: { view?: View; placement?: Placement }): ScopeValue =>
  Object.freeze({ ...value, [Symbol.dispose]: () => undefined });

/** Whether the consistent view is the one in force.  @flow scope.consistent_view_enabled @flow distribute.consistent_strategy_enabled */
export function consistentViewEnabled(): boolean {
  return scopes().views.at(-1) === "consistent";
}

/** Whether the mirrored view is the one in force.  @flow scope.mirrored_view_enabled @flow distribute.mirrored_strategy_enabled */
export function mirroredViewEnabled(): boolean {
  return scopes().views.at(-1) === "mirrored";
}

/** The scope in force: placement, view, and the open namespaces' prefix. */
export interface CurrentScope {
  /** Where ops run. */
  readonly placement: Placement;
  /** How several devices are seen. */
  readonly view: View;
  /** `tower-branch-`, or empty. */
  readonly namePrefix: string;
  /** What the original's layers ask for the device. */
  readonly deviceParallelDescSymbol: { readonly deviceTag: DeviceTag };
}

/** The scope in force, inside a job or outside.  @flow current_scope @flow scope.current_scope @flow placement.current_scope */
export function currentScope(): CurrentScope {
  const { placements, views } = scopes();
  const placed = placements.at(-1)!;
  const builder = activeBuilder();
  return Object.freeze({
    placement: placed,
    view: views.at(-1)!,
    namePrefix: (builder?.namespaces ?? []).map((name) => `${name}-`).join(""),
    deviceParallelDescSymbol: Object.freeze({ deviceTag: placed.deviceTag }),
  });
}

/** What is known of the job whose function runs now. */
export interface FunctionDescription {
  /** Its name. */
  readonly jobName: string;
  /** True in train jobs; spelt as documented. */
  IsTrainable(): boolean;
}

/** The job whose function runs now; E_OUTSIDE_JOB outside.  @flow current_global_function_desc */
export function currentGlobalFunctionDesc(): FunctionDescription {
  const builder = currentBuilder("currentGlobalFunctionDesc");
  return Object.freeze({ jobName: builder.job, IsTrainable: () => builder.training });
}

/** How a variable or layer would be spread over devices; on one device it changes nothing. */
export type Distribute = { readonly kind: "split"; readonly axis: number } | { readonly kind: "broadcast" | "auto" };

const splits = new Map<number, Distribute>();
const broadcasting: Distribute = Object.freeze({ kind: "broadcast" });
const automatic: Distribute = Object.freeze({ kind: "auto" });

/** Split along `axis`, 0 to 10; one object for each axis, as documented.  @flow distribute.split */
export function split(axis: number): Distribute {
  if (!Number.isInteger(axis) || axis < 0 || axis > 10)
    throw new FlowError("E_ARGUMENT", `distribute.split: axis is ${plainText(axis)}, expected an integer from 0 to 10`);
  const known = splits.get(axis) ?? Object.freeze({ kind: "split", axis });
  splits.set(axis, known);
  return known;
}

/** A copy on every device.  @flow distribute.broadcast */
export function broadcast(): Distribute {
  return broadcasting;
}

/** Left to the framework.  @flow distribute.auto */
export function auto(): Distribute {
  return automatic;
}
