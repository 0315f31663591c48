/** What to call it when a jail was ended by us; a command's own failures are its own. */
import type { KilledBy } from "./jail-types.ts";

export function stopCode(killedBy: KilledBy): "DEADLINE_EXCEEDED" | "CANCELLED" | "RESOURCE_EXHAUSTED" {
  return killedBy === "timeout" ? "DEADLINE_EXCEEDED" : killedBy === "cancelled" ? "CANCELLED" : "RESOURCE_EXHAUSTED";
}
