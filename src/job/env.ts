import { FlowError, plainText, textOfValue } from "../core/errors.js";
import { defaultSession } from "./session.js";

/** A machine of a cluster, by address. */
export interface Machine {
  /** Its address. */
  readonly addr: string;
  /** Its control port, where it differs. */
  readonly ctrlPortAgent?: number;
  /** Its data port, where it differs. */
  readonly dataPortAgent?: number;
}

/** What the environment is: one machine, this one. */
export interface Resource {
  /** The machines that were named. */
  readonly machines: readonly Machine[];
  /** As set by `ctrlPort`. */
  readonly ctrlPort: number | undefined;
  /** As set by `dataPort`. */
  readonly dataPort: number | undefined;
  /** As set by `logDir`. */
  readonly logDir: string;
}

let initialized = false;
let machines: readonly Machine[] = [{ addr: "127.0.0.1" }];
const ports: { ctrl?: number; data?: number } = {};
let logFolder = "./log";

/** False, and the documented line on stderr, once the environment is initialised: by `init`, or by the first job call. */
function settable(): boolean {
  if (!initialized && !defaultSession().running) return true;
  process.stderr.write("Nothing happened because environment has been initialized\n");
  return false;
}

/** Initialises the environment; true at the first call. A job call does it too.  @flow env.init */
export function init(): boolean {
  if (!settable()) return false;
  initialized = true;
  return true;
}

/** Names the machines of a cluster: addresses, or `{ addr }`, as a list or one by one. They are checked; this process computes alone.  @flow env.machine */
export function machine(...given: readonly (string | Machine | readonly (string | Machine)[])[]): boolean {
  const list = given.flat() as readonly (string | Machine)[];
  const named = list.map((entry) => (typeof entry === "string" ? { addr: entry } : entry));
  for (const { addr } of named)
    if (typeof addr !== "string" || addr === "")
      throw new FlowError("E_ARGUMENT", 'env.machine: expected addresses or objects such as { addr: "192.0.2.1" }');
  const twice = named.find(({ addr }, i) => named.findIndex((other) => other.addr === addr) !== i);
  if (named.length === 0 || twice !== undefined)
    throw new FlowError(
      "E_ARGUMENT",
      twice === undefined ? "env.machine: no machine is named" : `env.machine: '${twice.addr}' is named twice`,
    );
  if (!settable()) return false;
  machines = named;
  return true;
}

function port(where: string, value: number): number {
  if (!Number.isInteger(value) || value < 1 || value > 65535)
    throw new FlowError("E_ARGUMENT", `${where}: got ${plainText(value)}, expected a port from 1 to 65535`);
  return value;
}

/** The port that machines of a cluster control each other by; kept, not opened.  @flow env.ctrl_port */
export function ctrlPort(value: number): boolean {
  port("env.ctrlPort", value);
  if (!settable()) return false;
  ports.ctrl = value;
  return true;
}

/** The port that machines of a cluster exchange data by; kept, not opened.  @flow env.data_port */
export function dataPort(value: number): boolean {
  port("env.dataPort", value);
  if (!settable()) return false;
  ports.data = value;
  return true;
}

/** A folder for the original's logs; kept, nothing is written there.  @flow env.log_dir */
export function logDir(folder: string): boolean {
  if (typeof folder !== "string" || folder === "")
    throw new FlowError("E_ARGUMENT", `env.logDir: got ${textOfValue(folder)}, expected a folder's path`);
  if (!settable()) return false;
  logFolder = folder;
  return true;
}

const level =
  (where: string) =>
  (value: number): boolean => {
    if (!Number.isInteger(value))
      throw new FlowError("E_ARGUMENT", `${where}: got ${plainText(value)}, expected an integer`);
    return settable();
  };

/** Taken without effect: nothing is logged; `ONESTEP_DEBUG` shows what happens.  @flow env.logtostderr */
export const logtostderr = level("env.logtostderr");
/** Taken without effect.  @flow env.logbuflevel */
export const logbuflevel = level("env.logbuflevel");

/** Taken without effect.  @flow env.grpc_use_no_signal */
export function grpcUseNoSignal(value = true): boolean {
  if (typeof value !== "boolean")
    throw new FlowError("E_ARGUMENT", `env.grpcUseNoSignal: got ${textOfValue(value)}, expected true or false`);
  return settable();
}

/** What was set.  @flow env.current_resource @flow current_resource */
export function currentResource(): Resource {
  return Object.freeze({ machines, ctrlPort: ports.ctrl, dataPort: ports.data, logDir: logFolder });
}

/** The number of this machine among those named: 0.  @flow current_machine_id */
export function currentMachineId(): number {
  return 0;
}
