/** The time that freshness and expiry are judged by: a clock that was set back makes nothing young again. */
import type { Clock } from "../../foundation/index.ts";
import { Facts, type Store } from "../../store/index.ts";

const KEY = "latest-time";
/** How far behind the stored time may be: it is written at most this often, ms. */
const STEP = 60_000;

/** Milliseconds since the epoch: the clock's, or the latest that this state directory has seen, whichever is later. */
export async function latestTime(store: Store, clock: Clock): Promise<number> {
  const facts = new Facts(store, "clock");
  await facts.initialize();
  const known = Number((await facts.get(KEY)) ?? 0);
  const now = clock.now();
  if (now > known + STEP) await facts.put(KEY, JSON.stringify(now), now);
  return Math.max(now, Number.isFinite(known) ? known : 0);
}
