/** What is kept of a job's network, and what of it counts when one asks what jobs need. */
import type { TrafficConnection } from "../contract.ts";
import { placeText } from "../rules/index.ts";

export interface RecordedJob {
  readonly jobId: string;
  readonly connections: readonly TrafficConnection[];
  /** Attempts that are in no row, since there were too many different ones. */
  readonly coalesced: number;
}

/** The place as a rule names it. Undefined for what no rule can name. */
export function ruleFor({ proto, domain, dst, port }: TrafficConnection): string | undefined {
  if (port === undefined || (proto !== "tcp" && proto !== "udp")) return undefined;
  return placeText(domain ?? dst, port, proto);
}
