/**
 * The last events of a container, for a bundle of evidence. Only what stands in one is kept of each: whole events that live until
 * three hundred others came are what a collector of garbage takes for old, and at 10,000 a second it keeps them for long.
 */
import type { JsonObject } from "../../foundation/index.ts";
import type { Endpoint, ProcessEvent } from "../event.ts";
import { endpointText } from "../rules/fields.ts";
import { shown } from "../rules/message.ts";
import { placesOf } from "./threat.ts";

interface Kept {
  readonly kind: ProcessEvent["kind"];
  readonly time: number;
  readonly pid: number;
  readonly name: string;
  readonly call: string;
  readonly result: number;
  readonly file: string | undefined;
  readonly address: Endpoint | undefined;
  /** Of an exec: what runs, and its arguments. An environment holds secrets and is left out. */
  readonly program: string | undefined;
  readonly args: string | undefined;
}

const MOST = 300;
const MAX_TEXT = 500;

export class RecentEvents {
  readonly #kept: Kept[] = [];
  #next = 0;

  add(event: ProcessEvent): void {
    const { kind, time, actor, call, result } = event;
    const { file, address } = placesOf(event);
    const program = event.kind === "exec" ? event.program.path : undefined;
    const args = event.kind === "exec" ? shown(event.args.join(" "), MAX_TEXT) : undefined;
    this.#kept[this.#next] = { kind, time, pid: actor.pid, name: actor.name, call, result, file, address, program, args };
    this.#next = (this.#next + 1) % MOST;
  }

  /** Oldest first. */
  texts(): JsonObject[] {
    const full = this.#kept.length === MOST;
    return [...(full ? this.#kept.slice(this.#next) : []), ...this.#kept.slice(0, full ? this.#next : MOST)].map(textOf);
  }
}

function textOf({ kind, time, pid, name, call, result, file, address, program, args }: Kept): JsonObject {
  return {
    ...{ kind, at: new Date(time).toISOString(), pid, name: shown(name), call, result },
    ...(file === undefined ? {} : { file: shown(file, MAX_TEXT) }),
    ...(address === undefined ? {} : { address: shown(endpointText(address), MAX_TEXT) }),
    ...(program === undefined || args === undefined ? {} : { program: shown(program, MAX_TEXT), args }),
  };
}
