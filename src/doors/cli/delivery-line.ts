/** What came of bringing checkpoints to one place, in one line. */
import type { Delivery } from "../../audit/index.ts";
import { formatDuration } from "../../foundation/index.ts";

export function deliveryLine({ place, last, lastSuccess, lastFailure }: Delivery, now: number): string {
  const took = lastSuccess === undefined ? "never took one" : `took ${lastSuccess.size} events ${ago(lastSuccess.at, now)}`;
  // A failure's message often begins with the place.
  const why = last === "failure" && lastFailure !== undefined ? `; failed ${ago(lastFailure.at, now)}: ${lastFailure.message.replace(`${place}: `, "")}` : "";
  return `${place}: ${last === undefined ? "not tried yet" : `${took}${why}`}`;
}

function ago(at: string, now: number): string {
  const since = now - Date.parse(at);
  // Told by a clock that has been put back since.
  return since < 0 ? `at ${at}` : `${formatDuration(since)} ago`;
}
