/** This program, for sessions that are bound to the one that opened them. */
import type { Client } from "../../rbac/index.ts";

export const CLIENT: Client = { userAgent: "cofferdam command line" };
