/** See action.ts. */
import type { Action } from "./action.ts";
import { CREDENTIALS } from "./credentials.ts";
import { ESCAPE } from "./escape.ts";
import { EXECUTION } from "./execution.ts";
import { NETWORK } from "./network.ts";
import { TRACES } from "./traces.ts";

export type { Action } from "./action.ts";

/** Every act, and behind it the same under another name of the program. */
export const ACTIONS: readonly Action[] = [...CREDENTIALS, ...EXECUTION, ...ESCAPE, ...TRACES, ...NETWORK];
