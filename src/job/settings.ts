import { FlowError, plainText, textOfValue } from "../core/errors.js";
import { checkEngine } from "./config.js";
import { defaultSession, type Session } from "./session.js";

/** E_ARGUMENT once the session runs: what is set then would be ignored in silence. */
function idleSession(where: string): Session {
  const session = defaultSession();
  if (session.running)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: the session is running; set it before the first job or CheckPoint call, or after clearDefaultSession()`,
    );
  return session;
}

/**
 * Chooses the engine of this session: "onnx" (default), "tensorflow" or "reference".
 * @example
 * ```ts
 * flow.config.engine("reference");
 * const one = flow.globalFunction({ name: "one" }, () => flow.constant(1, { dtype: flow.double }));
 * await one(); // -> [1]
 * ```
 */
export function engine(name: string): void {
  idleSession("config.engine").settings.engine = checkEngine(name);
}

/**
 * Makes this session's randomness repeatable: initial values, dropout masks. An integer from 0 to 2^53 - 1.
 * @example
 * ```ts
 * const first = async () => {
 *   await flow.clearDefaultSession();
 *   flow.config.seed(7);
 *   const initializer = flow.randomNormalInitializer();
 *   const job = flow.globalFunction({ name: "w" }, () => flow.getVariable("w", { shape: [2], initializer }));
 *   await new flow.train.CheckPoint().init();
 *   return (await job()).toArray();
 * };
 * const a = await first();
 * const b = await first();
 * console.log(JSON.stringify(a) === JSON.stringify(b)); // -> true
 * ```
 */
export function seed(value: number): void {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new FlowError("E_ARGUMENT", `config.seed: got ${plainText(value)}, expected an integer from 0 to 2^53 - 1`);
  const session = idleSession("config.seed");
  if (session.seeded)
    throw new FlowError(
      "E_ARGUMENT",
      "config.seed: batches of a data source have used the seed; set it before reading them",
    );
  session.settings.seed = value;
}

/** Threads that one native call uses; where not set, as many as the machine has cores, or as its container may use.  @flow config.compute_thread_pool_size */
export function computeThreadPoolSize(threads: number): void {
  const where = "config.computeThreadPoolSize";
  idleSession(where).settings.threads = integer(where, threads, 1);
}

/**
 * Tests every floating value of every step for NaN and infinity: the first op that makes one fails the step, by name, and no
 * variable changes. Slow; meant for finding where a training breaks. Default false.
 */
export function checkNumerics(on: boolean): void {
  idleSession("config.checkNumerics").settings.checkNumerics = boolean("config.checkNumerics", on);
}

/**
 * Trades time for memory in train jobs: only values at some places of the forward pass are kept for the gradients, the others are computed
 * again from them, which takes about a third more time. The places are those that need the least memory. Gradients are the same; where an
 * engine merges ops by who else uses a value, their last bit may differ. Default false. `scope.recompute` says by itself what to compute again.
 * @example
 * ```ts
 * flow.config.recompute(true);
 * ```
 */
export function recompute(on: boolean): void {
  idleSession("config.recompute").settings.recompute = boolean("config.recompute", on);
}

/** How many calls of a session may wait for their turn, each with a copy of its feeds; more are refused with E_BUSY. Default 10,000. */
export function maxQueuedCalls(calls: number): void {
  defaultSession().queueLimit = calls === Number.POSITIVE_INFINITY ? calls : integer("config.maxQueuedCalls", calls, 1);
}

function integer(where: string, value: unknown, least: number): number {
  if (!Number.isInteger(value) || (value as number) < least)
    throw new FlowError("E_ARGUMENT", `${where}: got ${plainText(value)}, expected an integer of at least ${least}`);
  return value as number;
}

function boolean(where: string, value: unknown): boolean {
  if (typeof value !== "boolean")
    throw new FlowError("E_ARGUMENT", `${where}: got ${textOfValue(value)}, expected true or false`);
  return value;
}

/** False, and a line on stderr, once the session runs: what the original answers. */
function settable(): boolean {
  if (!defaultSession().running) return true;
  process.stderr.write("Nothing happened because the session is running\n");
  return false;
}

/** A setter that is checked and has no effect here. It gives false once the session runs. */
const count =
  (name: string, least: number) =>
  (value: number): boolean => {
    integer(`config.${name}`, value, least);
    return settable();
  };
const flag =
  (name: string) =>
  (value = true): boolean => {
    boolean(`config.${name}`, value);
    return settable();
  };

/** Devices of the original's CPU kind; one is used.  @flow config.cpu_device_num */
export const cpuDeviceNum = count("cpuDeviceNum", 1);
/** GPUs a machine; without a GPU engine it acts as `cpuDeviceNum`.  @flow config.gpu_device_num */
export const gpuDeviceNum = count("gpuDeviceNum", 0);
/** Machines; one is used.  @flow config.machine_num */
export const machineNum = count("machineNum", 1);
/** Taken without effect: `ONESTEP_DEBUG` shows what the original's debug mode shows.  @flow config.enable_debug_mode */
export const enableDebugMode = flag("enableDebugMode");
/** Taken without effect: checkpoints have one layout.  @flow config.enable_model_io_v2 */
export const enableModelIoV2 = flag("enableModelIoV2");
/** Taken without effect: downloads always go to the local disk.  @flow config.save_downloaded_file_to_local_fs */
export const saveDownloadedFileToLocalFs = flag("saveDownloadedFileToLocalFs");
/** Taken without effect: buffers of files are not tuned.  @flow config.persistence_buf_byte */
export const persistenceBufByte = count("persistenceBufByte", 1);
/** Taken without effect.  @flow config.collect_act_event */
export const collectActEvent = flag("collectActEvent");
/** Taken without effect: no cluster.  @flow config.comm_net_worker_num */
export const commNetWorkerNum = count("commNetWorkerNum", 1);
/** Taken without effect.  @flow config.max_mdsave_worker_num */
export const maxMdsaveWorkerNum = count("maxMdsaveWorkerNum", 1);
/** Taken without effect: no CUDA.  @flow config.enable_numa_aware_cuda_malloc_host */
export const enableNumaAwareCudaMallocHost = flag("enableNumaAwareCudaMallocHost");
/** Taken without effect: no RDMA.  @flow config.rdma_mem_block_mbyte */
export const rdmaMemBlockMbyte = count("rdmaMemBlockMbyte", 1);
/** Taken without effect: no RDMA.  @flow config.rdma_recv_msg_buf_mbyte */
export const rdmaRecvMsgBufMbyte = count("rdmaRecvMsgBufMbyte", 1);
/** Taken without effect: the engine plans its memory.  @flow config.reserved_device_mem_mbyte */
export const reservedDeviceMemMbyte = count("reservedDeviceMemMbyte", 0);
/** Taken without effect: the engine plans its memory.  @flow config.reserved_host_mem_mbyte */
export const reservedHostMemMbyte = count("reservedHostMemMbyte", 0);
/** Taken without effect.  @flow config.thread_enable_local_message_queue */
export const threadEnableLocalMessageQueue = flag("threadEnableLocalMessageQueue");
/** Taken without effect: no RDMA.  @flow config.use_rdma */
export const useRdma = flag("useRdma");

/** Taken without effect: nothing is reduced between devices. */
export const collectiveBoxing = Object.freeze({
  /** @flow config.collective_boxing.enable_fusion */
  enableFusion: flag("collectiveBoxing.enableFusion"),
  /** @flow config.collective_boxing.nccl_fusion_all_gather */
  ncclFusionAllGather: flag("collectiveBoxing.ncclFusionAllGather"),
  /** @flow config.collective_boxing.nccl_fusion_all_reduce */
  ncclFusionAllReduce: flag("collectiveBoxing.ncclFusionAllReduce"),
  /** @flow config.collective_boxing.nccl_fusion_all_reduce_use_buffer */
  ncclFusionAllReduceUseBuffer: flag("collectiveBoxing.ncclFusionAllReduceUseBuffer"),
  /** @flow config.collective_boxing.nccl_fusion_broadcast */
  ncclFusionBroadcast: flag("collectiveBoxing.ncclFusionBroadcast"),
  /** @flow config.collective_boxing.nccl_fusion_max_ops */
  ncclFusionMaxOps: count("collectiveBoxing.ncclFusionMaxOps", 1),
  /** @flow config.collective_boxing.nccl_fusion_reduce */
  ncclFusionReduce: flag("collectiveBoxing.ncclFusionReduce"),
  /** @flow config.collective_boxing.nccl_fusion_reduce_scatter */
  ncclFusionReduceScatter: flag("collectiveBoxing.ncclFusionReduceScatter"),
  /** @flow config.collective_boxing.nccl_fusion_threshold_mb */
  ncclFusionThresholdMb: count("collectiveBoxing.ncclFusionThresholdMb", 1),
  /** @flow config.collective_boxing.nccl_num_streams */
  ncclNumStreams: count("collectiveBoxing.ncclNumStreams", 1),
  /** @flow config.collective_boxing.num_callback_threads */
  numCallbackThreads: count("collectiveBoxing.numCallbackThreads", 1),
});

/** Not here: the original loads ops from a shared library; `flow.registerOp` adds one in TypeScript. E_UNSUPPORTED.  @flow config.load_library */
export function loadLibrary(path: string): never {
  throw new FlowError(
    "E_UNSUPPORTED",
    `config.loadLibrary('${String(path)}'): ops of shared libraries cannot be loaded; write the op with flow.registerOp`,
  );
}

/**
 * In eager mode a job may be declared again under its name, as in a loop, and is called at once: what computes the same keeps
 * its native graph. Variables get their first values by themselves. Call it before any job is declared.
 * @flow enable_eager_execution
 */
export function enableEagerExecution(on = true): void {
  const session = defaultSession();
  if (session.hasJobs)
    throw new FlowError(
      "E_ARGUMENT",
      "enableEagerExecution: jobs are declared already; call it before the first globalFunction, or after clearDefaultSession()",
    );
  session.settings.eager = boolean("enableEagerExecution", on);
}

/** Whether this session is in eager mode.  @flow eager_execution_enabled */
export function eagerExecutionEnabled(): boolean {
  return defaultSession().settings.eager === true;
}

/** Makes `returns` mandatory for the jobs declared from now on.  @flow experimental.enable_typing_check */
export function enableTypingCheck(on = true): void {
  defaultSession().settings.typed = boolean("experimental.enableTypingCheck", on);
}
