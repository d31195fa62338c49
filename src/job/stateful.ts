import { FlowError } from "../core/errors.js";
import type { Json } from "../core/json.js";

/** Something beside variables that a checkpoint holds: a data source's position. */
export interface Stateful {
  state(): Json;
  /** Checks a stored state and gives the function that takes it over; throws where it does not fit. */
  prepare(state: Json): () => void;
  /** True while something that `state` counts as used may still wait for its use. */
  readonly busy: boolean;
}

/** Key of a save's options under which a checkpoint manager hands over what it records in `onestep.json`. */
export const RECORD = Symbol("onestep.record");

/** What a session saves beside variables, by name. */
export class StatefulSet {
  readonly #members = new Map<string, Stateful>();
  // States of a loaded checkpoint that nothing has claimed yet; saves carry them on.
  #unclaimed = new Map<string, Json>();
  readonly #made = new Map<string, number>();
  #waiting: (() => Promise<void>) | undefined;
  #holding: Promise<void> | undefined;

  /** `<kind>_0`, `<kind>_1`, ... in the order of calls. */
  nextName(kind: string): string {
    let number = this.#made.get(kind) ?? 0;
    while (this.#members.has(`${kind}_${number}`)) number++;
    this.#made.set(kind, number + 1);
    return `${kind}_${number}`;
  }

  /** Adds a member; it takes over the state of its name that a load has left. */
  add(where: string, name: string, member: Stateful): void {
    if (this.#members.has(name))
      throw new FlowError(
        "E_DUPLICATE",
        `${where}: the session has a data source named '${name}'; use another name, or close() the first`,
      );
    const stored = this.#unclaimed.get(name);
    if (stored !== undefined) member.prepare(stored)();
    this.#unclaimed.delete(name);
    this.#members.set(name, member);
  }

  /** Takes a member out; its name is free again. */
  remove(name: string, member: Stateful): void {
    if (this.#members.get(name) === member) this.#members.delete(name);
  }

  /** Every state, by name, in order of names. */
  states(): Readonly<Record<string, Json>> {
    const all = new Map([...this.#unclaimed, ...[...this.#members].map(([name, m]) => [name, m.state()] as const)]);
    return Object.fromEntries([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Checks stored states against the members and gives the function that takes them over; nothing changes before. */
  prepare(states: Readonly<Record<string, Json>>): () => void {
    const commits = Object.entries(states).flatMap(([name, state]) => {
      const member = this.#members.get(name);
      return member === undefined ? [] : [member.prepare(state)];
    });
    return () => {
      for (const commit of commits) commit();
      this.#unclaimed = new Map(Object.entries(states).filter(([name]) => !this.#members.has(name)));
    };
  }

  /**
   * Calls `work` where everything that states count as used has been used: now, or when a data source is asked for its next batch.
   * From then on data sources hand out nothing before it has ended.
   */
  atBoundary(work: () => Promise<void>): void {
    if ([...this.#members.values()].some((member) => member.busy)) this.#waiting = work;
    else this.#holding = work();
  }

  /** A member tells that it was asked for more; the promise is of what it must wait for. */
  boundary(): Promise<void> | undefined {
    const work = this.#waiting;
    this.#waiting = undefined;
    if (work !== undefined) this.#holding = work();
    return this.#holding;
  }
}
