/** The allow-list that recorded jobs needed, beside the one that there is: a proposal, for a person to read. */
import type { NetworkPolicy, TrafficConnection } from "../contract.ts";
import { CompiledPolicy, isReadableRule, parseAddress } from "../rules/index.ts";
import { type RecordedJob, ruleFor } from "./recorded.ts";

export interface LearnedRule {
  /** As it stands in a policy. */
  readonly rule: string;
  /** How many of the jobs went there. */
  readonly jobs: number;
  /** Bytes of all of them, from jobs and to them. */
  readonly sent: number;
  readonly received: number;
  /** Requests that were seen, where they were: what a rule for requests would have to allow. At most 20. */
  readonly requests: readonly string[];
}

export interface Learned {
  readonly jobs: number;
  /** Reached by these jobs, and not in the policy's list. */
  readonly add: readonly LearnedRule[];
  /** Refused then, and not in the list: nobody knows whether the job needed it. */
  readonly refused: readonly LearnedRule[];
  /** In the list, and used by none of these jobs. */
  readonly unused: readonly string[];
  readonly notes: readonly string[];
}

const MAX_REQUESTS = 20;
/** Names below one parent from which on a wildcard is worth a word. */
const MANY = 4;

/**
 * @param policy as it is now; what relaxed or observing let through counts as not listed.
 * Throws INVALID_ARGUMENT for a policy that cannot be read.
 */
export function learn(jobs: readonly RecordedJob[], policy: NetworkPolicy): Learned {
  // Neither mode nor observing: the question is what the list itself allows.
  const listed = new CompiledPolicy({ ...policy, mode: "moderate", observe: false }, []);
  const used = new Set<string>();
  const reached = new Map<string, Tally>();
  const refused = new Map<string, Tally>();
  for (const { jobId, connections } of jobs)
    for (const connection of connections) {
      const rule = ruleFor(connection);
      if (rule === undefined || !isReadableRule(rule)) continue;
      const allowing = ruleThatAllows(listed, connection);
      if (allowing !== undefined) used.add(allowing);
      else tally(connection.verdict === "refused" ? refused : reached, rule, jobId, connection);
    }
  for (const rule of reached.keys()) refused.delete(rule);
  const add = sorted(reached);
  return { jobs: jobs.length, add, refused: sorted(refused), unused: policy.allow.filter((rule) => !used.has(rule)), notes: notesOn(jobs, add) };
}

interface Tally {
  readonly jobs: Set<string>;
  readonly requests: Set<string>;
  sent: number;
  received: number;
}

function ruleThatAllows(policy: CompiledPolicy, { proto, domain, dst, port }: TrafficConnection): string | undefined {
  if (port === undefined || (proto !== "tcp" && proto !== "udp")) return undefined;
  const { verdict, allowed } = policy.decide({ name: domain, address: parseAddress(dst), port, protocol: proto });
  return verdict === "allowed" ? allowed?.text : undefined;
}

function tally(all: Map<string, Tally>, rule: string, jobId: string, { sent, received, requests = [] }: TrafficConnection): void {
  const one = all.get(rule) ?? { jobs: new Set<string>(), requests: new Set<string>(), sent: 0, received: 0 };
  all.set(rule, one);
  one.jobs.add(jobId);
  one.sent += sent;
  one.received += received;
  for (const request of requests) if (one.requests.size < MAX_REQUESTS) one.requests.add(request);
}

/** What most jobs need comes first. */
function sorted(all: ReadonlyMap<string, Tally>): readonly LearnedRule[] {
  return [...all]
    .map(([rule, { jobs, requests, sent, received }]) => ({ rule, jobs: jobs.size, sent, received, requests: [...requests] }))
    .sort((a, b) => b.jobs - a.jobs || (a.rule < b.rule ? -1 : 1));
}

function notesOn(jobs: readonly RecordedJob[], add: readonly LearnedRule[]): readonly string[] {
  const lost = jobs.filter(({ coalesced }) => coalesced > 0).length;
  const below = new Map<string, number>();
  for (const { rule } of add) {
    const [, parent] = /^[^.:[\]]+\.([^:]+\.[^:]+):\d+$/.exec(rule) ?? [];
    if (parent !== undefined) below.set(parent, (below.get(parent) ?? 0) + 1);
  }
  return [
    ...(lost > 0 ? [`${lost} of ${jobs.length} jobs went to more places than are on record`] : []),
    ...[...below].flatMap(([parent, names]) =>
      names >= MANY ? [`${names} names lie below ${parent}: *.${parent} would cover them, and all others there`] : [],
    ),
  ];
}
