/**
 * Settings of the session: engine, seed, threads. Set them before the first job or CheckPoint call.
 * @module
 */

export {
  checkNumerics,
  collectActEvent,
  collectiveBoxing,
  commNetWorkerNum,
  computeThreadPoolSize,
  cpuDeviceNum,
  enableDebugMode,
  enableModelIoV2,
  enableNumaAwareCudaMallocHost,
  engine,
  gpuDeviceNum,
  loadLibrary,
  machineNum,
  maxMdsaveWorkerNum,
  maxQueuedCalls,
  persistenceBufByte,
  rdmaMemBlockMbyte,
  rdmaRecvMsgBufMbyte,
  recompute,
  reservedDeviceMemMbyte,
  reservedHostMemMbyte,
  saveDownloadedFileToLocalFs,
  seed,
  threadEnableLocalMessageQueue,
  useRdma,
} from "../job/settings.js";
