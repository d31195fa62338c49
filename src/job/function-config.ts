import { type DType, dtypes } from "../core/dtype.js";
import { checkOptions, FlowError, nearest, plainText, textOfValue } from "../core/errors.js";
import { camel, type InitializerConf, initializerFromConf } from "../initializers/from-conf.js";
import type { Initializer } from "../initializers/initializer.js";
import { Adam } from "../optim/adam.js";
import type { Optimizer } from "../optim/optimizer.js";
import { PiecewiseConstantScheduler } from "../optim/piecewise.js";
import { SGD } from "../optim/sgd.js";
import type { Placement, ScopeValue, View } from "./scope.js";

/** What a function config says of a job; absent where it says nothing. */
export interface JobSettings {
  readonly dtype?: DType;
  readonly initializer?: Initializer;
  readonly view?: View;
  readonly placement?: Placement;
  /** The optimizer of `train.modelUpdateConf`, made where the job has losses by `losses.addLoss` and no `minimize`. */
  readonly optimizer?: Optimizer;
  /** Names of the variables of `indexedSlicesOptimizerConf`. */
  readonly indexedSlices?: readonly string[];
}

/** Names the tables that are updated in the rows that a step read only; the original's spelling is taken too. */
export type IndexedSlicesOptimizerConf =
  | { readonly enable?: boolean; readonly includeOpNames: { readonly opName: readonly string[] } }
  | { readonly enable?: boolean; readonly include_op_names: { readonly op_name: readonly string[] } };

/** A setter that is taken and changes nothing: it tunes what is not here (CUDA, NCCL, TensorRT, the original's memory plan). */
type NoEffect = (value?: unknown) => void;

const withoutEffect = [
  "allReduceFp16",
  "allReduceGroupMinMbyte",
  "allReduceGroupNum",
  "allReduceGroupSizeWarmup",
  "allReduceLazyRatio",
  "allowCpuReturnOp",
  "concurrencyWidth",
  "cudnnBufLimitMbyte",
  "cudnnConvEnablePseudoHalf",
  "cudnnConvEnableTrueHalf",
  "cudnnConvForceBwdDataAlgo",
  "cudnnConvForceBwdFilterAlgo",
  "cudnnConvForceFwdAlgo",
  "cudnnConvHeuristicSearchAlgo",
  "cudnnConvUseDeterministicAlgoOnly",
  "disableAllReduceSequence",
  "doParallelCastBeforeWideningTypeCast",
  "enableAllReduceGroup",
  "enableAutoMixedPrecision",
  "enableCudnn",
  "enableCudnnConvPseudoHalf",
  "enableCudnnFusedNormalizationAddRelu",
  "enableFloatComputeForHalfGemm",
  "enableFuseAddToOutput",
  "enableFuseModelUpdateOps",
  "enableInplace",
  "enableInplaceInReduceStruct",
  "enableKeepHeaderOnly",
  "enableNccl",
  "enableNonDistributedOptimizer",
  "enableReuseMem",
  "enableReusedMem",
  "enableTrueHalfConfigWhenConv",
  "expRunConf",
  "nonDistributedOptimizerGroupSizeMbyte",
  "pruneCastToStaticShapeOps",
  "pruneParallelCastOps",
  "useBoxingV2",
  "useMemoryAllocationAlgorithmV2",
  "useNcclInterNodeCommunication",
  "useTensorrt",
  "useXlaJit",
] as const;

/** Settings of the pre-optimizer interface, honoured for jobs that call `losses.addLoss`. */
export interface TrainConfig {
  /** Learning rate. */
  primaryLr(value: number): void;
  /** Taken where it equals the primary rate; the original used it for variables of model name "bias". */
  secondaryLr(value: number): void;
  /** `{ naiveConf: {} }`, `{ momentumConf: { beta: 0.9 } }` or `{ adamConf: { beta1, beta2, epsilon, doBiasCorrection } }`. */
  modelUpdateConf(conf: Readonly<Record<string, Readonly<Record<string, number | boolean>>>>): void;
  /** An integer of at least 1. */
  lossScaleFactor(value: number): void;
}

const policies = ["use_mem_size_first_algo", "use_mutual_exclusion_first_algo", "use_time_line_algo"] as const;

/** Settings of a job. A config can serve several jobs; each takes what it says when the job is declared. */
export interface FunctionConfig extends Readonly<Record<(typeof withoutEffect)[number], NoEffect>> {
  /** The dtype of variables made by `getVariable` without one; default float32. */
  defaultDataType(dtype: DType): void;
  /** The initializer of variables made by `getVariable` without one: an initializer, or the original's `{ constant_conf: { value: 10 } }`. */
  defaultInitializerConf(conf: Initializer | InitializerConf): void;
  /** `flow.scope.consistentView()`, the default, or `flow.scope.mirroredView()`. */
  defaultLogicalView(view: ScopeValue): void;
  /** The older name of `defaultLogicalView`. */
  defaultDistributeStrategy(view: ScopeValue): void;
  /** What `flow.scope.placement(tag, ids)` gives outside a job. */
  defaultPlacementScope(scope: ScopeValue): void;
  /**
   * `{ includeOpNames: { opName: ["table"] } }`: of these variables, which `gather` alone may read, optimizers update the
   * rows that the step read. No gradient of the table's size is made, and moments of other rows stay as they are.
   */
  indexedSlicesOptimizerConf(conf: IndexedSlicesOptimizerConf): void;
  /** The interface before optimizers: rates and update rule. */
  readonly train: TrainConfig;
  /** Taken without effect: the engines plan their memory themselves. */
  readonly tensorrt: Readonly<Record<"useFp16" | "useInt8" | "int8Calibration", NoEffect>>;
  /** Taken without effect: the engines plan their memory themselves. */
  readonly staticMemAllocPolicyWhiteList: {
    /** Whether it was added. */
    has(policy: string): boolean;
    /** Adds a policy. */
    add(policy: string): void;
    /** Takes it out again. */
    remove(policy: string): void;
    /** Its name. */
    policyMemSizeFirst(): string;
    /** Its name. */
    policyMutualExclusionFirst(): string;
    /** Its name. */
    policyTimeLine(): string;
  };
  /** The names of the policies. */
  readonly staticMemAllocAlgoWhiteList: {
    /** All of them. */
    show(): readonly string[];
  };
}

const settings = new WeakMap<object, () => JobSettings>();

/** What a config says now; E_ARGUMENT where it is none. */
export function settingsOf(where: string, config: unknown): JobSettings {
  if (config === undefined) return {};
  const read = typeof config === "object" && config !== null ? settings.get(config) : undefined;
  if (read === undefined)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: functionConfig is ${textOfValue(config)}, expected flow.functionConfig()`,
    );
  return read();
}

/**
 * A new config for jobs, with the documented setters in camelCase: those that choose numbers are honoured, those that
 * tune devices and memory are taken without effect. So is `enableAutoMixedPrecision`: on a CPU both engines are slower with
 * float16 than with float32, so jobs compute in the dtypes they say.
 * @flow function_config
 * @example
 * ```ts
 * const functionConfig = flow.functionConfig();
 * functionConfig.defaultDataType(flow.double);
 * functionConfig.defaultInitializerConf({ constant_conf: { value: 10 } });
 * const job = flow.globalFunction({ name: "configured", functionConfig, returns: tp.Numpy }, () =>
 *   flow.getVariable("w", { shape: [1] }),
 * );
 * await new flow.train.CheckPoint().init();
 * const w = await job(); // -> [10]
 * w.dtype; // -> "float64"
 * ```
 */
export function functionConfig(): FunctionConfig {
  return new FunctionConfig();
}

/** The class behind `functionConfig()`.  @flow FunctionConfig */
export const FunctionConfig: new () => FunctionConfig = class {
  constructor() {
    let said: JobSettings = {};
    const train: {
      rate?: number;
      conf?: Readonly<Record<string, Readonly<Record<string, number | boolean>>>>;
      scale?: number;
    } = {};
    const chosen = new Set<string>();
    const say = (part: JobSettings): void => {
      said = { ...said, ...part };
    };
    const view = (value: ScopeValue): void => {
      if (value?.view === undefined)
        throw new FlowError(
          "E_ARGUMENT",
          "functionConfig.defaultLogicalView: expected flow.scope.consistentView() or flow.scope.mirroredView(), called outside jobs",
        );
      say({ view: value.view });
    };
    const fields: Record<string, unknown> = {
      ...Object.fromEntries(withoutEffect.map((name) => [name, () => undefined])),
      defaultDataType(dtype: DType): void {
        if (!dtypes().includes(dtype))
          throw new FlowError(
            "E_DTYPE",
            `functionConfig.defaultDataType: got ${plainText(dtype)}, expected a dtype such as flow.float`,
          );
        say({ dtype });
      },
      defaultInitializerConf(conf: Initializer | InitializerConf): void {
        say({ initializer: initializerFromConf("functionConfig.defaultInitializerConf", conf) });
      },
      indexedSlicesOptimizerConf(conf: IndexedSlicesOptimizerConf): void {
        say({ indexedSlices: tablesOf(conf) });
      },
      defaultLogicalView: view,
      defaultDistributeStrategy: view,
      defaultPlacementScope(scope: ScopeValue): void {
        if (scope?.placement === undefined)
          throw new FlowError(
            "E_ARGUMENT",
            'functionConfig.defaultPlacementScope: expected flow.scope.placement("cpu", "0:0"), called outside jobs',
          );
        say({ placement: scope.placement });
      },
      train: guarded("functionConfig.train", {
        primaryLr: (value: number) => void (train.rate = positive("primaryLr", value)),
        secondaryLr(value: number): void {
          if (train.rate !== undefined && value !== train.rate)
            throw new FlowError(
              "E_UNSUPPORTED",
              `functionConfig.train.secondaryLr: ${value} differs from the primary rate ${train.rate}; a rate of its own for biases is not supported`,
            );
        },
        modelUpdateConf: (conf: Readonly<Record<string, Readonly<Record<string, number | boolean>>>>) =>
          void (train.conf = conf),
        lossScaleFactor: (value: number) => void (train.scale = value),
      }),
      tensorrt: guarded("functionConfig.tensorrt", {
        useFp16: () => undefined,
        useInt8: () => undefined,
        int8Calibration: () => undefined,
      }),
      staticMemAllocPolicyWhiteList: guarded("functionConfig.staticMemAllocPolicyWhiteList", {
        has: (policy: string) => chosen.has(policy),
        add: (policy: string) => void chosen.add(policy),
        remove: (policy: string) => void chosen.delete(policy),
        policyMemSizeFirst: () => policies[0],
        policyMutualExclusionFirst: () => policies[1],
        policyTimeLine: () => policies[2],
      }),
      staticMemAllocAlgoWhiteList: guarded("functionConfig.staticMemAllocAlgoWhiteList", { show: () => policies }),
    };
    const config = guarded("functionConfig", fields);
    settings.set(config, () => {
      const optimizer = optimizerOf(train.rate, train.conf, train.scale);
      return optimizer === undefined ? said : { ...said, optimizer };
    });
    // biome-ignore lint/correctness/noConstructorReturn: a proxy answers misspelt setters
    return config;
  }
} as unknown as new () => FunctionConfig;

/** `fields`, where an unknown one is E_OPTION with the nearest right name. */
function guarded<T extends object>(where: string, fields: T): T {
  return new Proxy(Object.freeze(fields), {
    get(target, key) {
      // `then` is what await asks of any value.
      if (typeof key === "symbol" || key === "then" || key === "toJSON" || Reflect.has(target, key))
        return Reflect.get(target, key);
      const near = nearest(key, Object.keys(target));
      throw new FlowError(
        "E_OPTION",
        `${where}: unknown setter '${key}'; ${near === undefined ? `known are ${Object.keys(target).join(", ")}` : `did you mean '${near}'?`}`,
      );
    },
  });
}

/** The variables that a conf of indexed slices names. */
function tablesOf(conf: IndexedSlicesOptimizerConf): readonly string[] {
  const where = "functionConfig.indexedSlicesOptimizerConf";
  const fields = (value: object, known: readonly string[]): Readonly<Record<string, unknown>> => {
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    const spelt = isObject ? Object.entries(value).map(([key, field]) => [camel(key), field] as const) : undefined;
    return checkOptions(where, spelt === undefined ? value : Object.fromEntries(spelt), known) as Record<
      string,
      unknown
    >;
  };
  const { includeOpNames, enable = true } = fields(conf, ["includeOpNames", "enable"]);
  const { opName } = fields(includeOpNames as object, ["opName"]);
  if (!Array.isArray(opName) || !opName.every((name) => typeof name === "string") || typeof enable !== "boolean")
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: expected names of variables, such as { includeOpNames: { opName: ["table"] } }, and enable true or false`,
    );
  return enable ? [...(opName as readonly string[])] : [];
}

function positive(name: string, value: number): number {
  if (!(typeof value === "number" && value > 0 && Number.isFinite(value)))
    throw new FlowError(
      "E_ARGUMENT",
      `functionConfig.train.${name}: got ${plainText(value)}, expected a positive number`,
    );
  return value;
}

/** The optimizer that `train.*` describes; undefined where it was not used. */
function optimizerOf(
  rate: number | undefined,
  conf: Readonly<Record<string, Readonly<Record<string, number | boolean>>>> | undefined,
  scale: number | undefined,
): Optimizer | undefined {
  if (rate === undefined && conf === undefined) return undefined;
  if (rate === undefined)
    throw new FlowError(
      "E_OPTIMIZER",
      "functionConfig.train: modelUpdateConf without primaryLr; call train.primaryLr(0.1)",
    );
  const schedule = new PiecewiseConstantScheduler([], [rate]);
  const common = scale === undefined ? {} : { lossScaleFactor: scale };
  const [name = "naiveConf", fields = {}] = Object.entries(conf ?? {})[0] ?? [];
  const options = Object.fromEntries(Object.entries(fields).map(([key, value]) => [camel(key), value]));
  switch (camel(name)) {
    case "naiveConf":
      return new SGD(schedule, { ...common, momentum: 0 });
    case "momentumConf":
      return new SGD(schedule, { ...common, momentum: Number(options.beta ?? 0.9) });
    case "adamConf":
      return new Adam(schedule, { ...common, ...options });
    default:
      throw new FlowError(
        "E_UNSUPPORTED",
        `functionConfig.train.modelUpdateConf: '${name}' is not supported there; use a class of flow.optimizer, such as new flow.optimizer.SGD(...).minimize(loss)`,
      );
  }
}
