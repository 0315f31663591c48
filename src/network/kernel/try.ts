/** Whether this machine makes networks for jobs: one is made, with its rules and its sockets, and taken away. */
import { Hands } from "./hands.ts";
import { closeSockets, Lock } from "./lock.ts";
import { rangeOf, subnetOf } from "./plan.ts";

/** Of the range for documentation (RFC 5737): nobody sees it. */
const RANGE = rangeOf("192.0.2.0/28");

/** @returns how long it took, ms. Throws ENVIRONMENT_UNFIT, FAILED_PRECONDITION with what the kernel or nft said. */
export async function tryNetwork(): Promise<number> {
  const hands = await Hands.start();
  try {
    const before = performance.now();
    const lock = await Lock.open(hands, 0, subnetOf(RANGE, 0));
    const took = performance.now() - before;
    closeSockets(lock.sockets);
    await lock.close();
    return took;
  } finally {
    await hands.end();
  }
}
