/** From what was seen in the jail to what is said of it: asked-for things that exist and were not given. */
import { lstatSync } from "node:fs";
import { dirname } from "node:path";
import type { Refusal } from "./jail-types.ts";
import type { Refused } from "./messages.ts";
import type { ProxyEvent } from "./proxy.ts";
import { syscallName } from "./seccomp/syscalls.ts";

/** Programs ask for these to see whether they are there, and live without them. */
const PROBES: ReadonlySet<string> = new Set(["io_uring_setup", "name_to_handle_at"]);

/** Python keeps what it compiled beside every module, where it can. */
const CACHES = /\/__pycache__(?:\/|$)/;

/** @returns undefined for what is not worth a word: a hidden file that does not exist outside either, a harmless probe. */
export function refusalOf({ refused, what, why, by }: Refused): Refusal | undefined {
  const from = by === "" ? undefined : by;
  switch (refused) {
    case "read":
      return why !== "hidden" || exists(what) ? { kind: "read", what, why, by: from } : undefined;
    case "write":
      // A folder that is not there outside either is not hidden, only not made yet.
      return (why === "hidden" && !exists(dirname(what))) || CACHES.test(what) ? undefined : { kind: "write", what, why, by: from };
    case "connect":
      return { kind: "network", what, why, by: from };
    case "name":
      return { kind: "network", what, why, by: from };
    default: {
      const name = syscallName(Number(what), process.arch === "arm64" ? "arm64" : "x64");
      return PROBES.has(name) ? undefined : { kind: "call", what: name, why, by: from };
    }
  }
}

/** @param by who made the connection. */
export function refusalOfProxy({ target, refused }: ProxyEvent, by: string | undefined): Refusal | undefined {
  return refused === undefined ? undefined : { kind: "network", what: target, why: refused, by };
}

/** What the caller may not see either was not kept from the command by the jail. */
function exists(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}
