import { FlowError } from "../../../core/errors.js";
import { callAside, type Handle, type Koffi, type NativeFunction } from "../../koffi.js";
import { resolveNow, type System } from "./system.js";

// tensorflow/c/c_api.h, of 2.9 and later.
const prototypes = {
  TF_AllocateTensor: ["void *", ["int", "void *", "int", "size_t"]],
  TF_CloseSession: ["void", ["void *", "void *"]],
  TF_DeleteDeviceList: ["void", ["void *"]],
  TF_DeleteGraph: ["void", ["void *"]],
  TF_DeleteSession: ["void", ["void *", "void *"]],
  TF_DeleteSessionOptions: ["void", ["void *"]],
  TF_DeleteStatus: ["void", ["void *"]],
  TF_DeleteTensor: ["void", ["void *"]],
  TF_DeviceListCount: ["int", ["void *"]],
  TF_DeviceListType: ["const char *", ["void *", "int", "void *"]],
  TF_GetCode: ["int", ["void *"]],
  TF_GraphOperationByName: ["void *", ["void *", "const char *"]],
  TF_LoadSessionFromSavedModel: [
    "void *",
    ["void *", "void *", "const char *", "void *", "int", "void *", "void *", "void *"],
  ],
  TF_Message: ["const char *", ["void *"]],
  TF_NewGraph: ["void *", []],
  TF_NewSession: ["void *", ["void *", "void *", "void *"]],
  TF_NewSessionOptions: ["void *", []],
  TF_NewStatus: ["void *", []],
  TF_SessionListDevices: ["void *", ["void *", "void *"]],
  TF_SessionRun: [
    "void",
    ["void *", "void *", "void *", "void *", "int", "void *", "void *", "int", "void *", "int", "void *", "void *"],
  ],
  TF_SetConfig: ["void", ["void *", "void *", "size_t", "void *"]],
  TF_TensorByteSize: ["size_t", ["void *"]],
  TF_TensorData: ["void *", ["void *"]],
  TF_Version: ["const char *", []],
} as const;

/** TensorFlow's C API. */
export type Api = Readonly<Record<keyof typeof prototypes, NativeFunction>> & {
  /** Held: koffi closes a library whose handle is collected, whatever functions were taken from it. */
  readonly library: unknown;
};

/**
 * The C API of a TensorFlow library, which stays in the process for good: koffi's own handle closes with the thread that opened
 * it, while TensorFlow's threads run on.
 */
export async function openApi(koffi: Koffi, { posix }: System, path: string): Promise<Api> {
  // Where it fails, so does koffi, which says why.
  if (posix !== undefined) await callAside(posix.dlopen, path, resolveNow);
  const library = koffi.load(path);
  const functions = Object.entries(prototypes).map(([name, [result, args]]) => [
    name,
    library.func(name, result, [...args]),
  ]);
  return { ...(Object.fromEntries(functions) as Api), library };
}

/** Where a native function says whether it worked. */
export class Status {
  readonly handle: Handle;
  constructor(readonly api: Api) {
    this.handle = api.TF_NewStatus() as Handle;
  }

  /** Throws TensorFlow's message where the call before has failed. */
  check(): void {
    if (this.api.TF_GetCode(this.handle) === 0) return;
    throw new FlowError("E_ENGINE", `tensorflow: TensorFlow says: ${String(this.api.TF_Message(this.handle))}`);
  }

  release(): void {
    this.api.TF_DeleteStatus(this.handle);
  }
}
