/** What a policy would have made of jobs that have run. */
import type { NetworkPolicy, TrafficConnection } from "../contract.ts";
import { CompiledPolicy, parseAddress, passes, refusalMessage } from "../rules/index.ts";
import { type RecordedJob, ruleFor } from "./recorded.ts";

export interface BlockedJob {
  readonly jobId: string;
  /** What it reached then, and would not now; each as a sentence. */
  readonly blocked: readonly string[];
}

export interface DryRun {
  readonly jobs: number;
  readonly blocked: readonly BlockedJob[];
  /** Jobs of which it cannot be told, and why: what is not on record was not checked. */
  readonly untold: readonly { readonly jobId: string; readonly why: string }[];
}

/** Throws INVALID_ARGUMENT for a policy that cannot be read. @param closed what no rule opens here (see UpstreamSettings). */
export function dryRun(jobs: readonly RecordedJob[], policy: NetworkPolicy, closed: readonly string[] = []): DryRun {
  const compiled = new CompiledPolicy({ ...policy, observe: false }, closed);
  const blocked: BlockedJob[] = [];
  const untold: { readonly jobId: string; readonly why: string }[] = [];
  for (const { jobId, connections, coalesced } of jobs) {
    const findings = connections.filter(({ verdict }) => verdict !== "refused").map((connection) => judge(compiled, connection));
    const sentences = [...new Set(findings.flatMap(({ refused = [] }) => refused))];
    if (sentences.length > 0) blocked.push({ jobId, blocked: sentences });
    const why = coalesced > 0 ? "it went to more places than are on record" : findings.find((finding) => finding.untold !== undefined)?.untold;
    if (why !== undefined) untold.push({ jobId, why });
  }
  return { jobs: jobs.length, blocked, untold };
}

function judge(policy: CompiledPolicy, connection: TrafficConnection): { readonly refused?: readonly string[]; readonly untold?: string } {
  const { proto, domain, dst, port, requests } = connection;
  const target = ruleFor(connection);
  if (target === undefined || port === undefined || (proto !== "tcp" && proto !== "udp")) return {};
  const address = parseAddress(dst);
  const decision = policy.decide({ name: domain, address, port, protocol: proto });
  const admitted = decision.via === "name" && address !== undefined ? policy.admits(decision, address, port, proto) : decision;
  if (!passes(admitted)) return { refused: [refusalMessage(target, admitted)] };
  if (decision.requestsOnly !== true || domain === undefined) return {};
  if (requests === undefined) return { untold: `${target}: its requests were not seen` };
  const refused = requests.flatMap((request) => {
    const [method = "", path = ""] = request.split(" ");
    const one = policy.permitsRequest(domain, port, method, path);
    return passes(one) ? [] : [refusalMessage(target, one)];
  });
  return { refused };
}
