/** A job's network: made before its container, given to it while that waits at its gate, taken away after it. */
import type { ContainerInspect } from "../engine/index.ts";
import { CofferdamError, startOf } from "../foundation/index.ts";
import { expandSets, type NetworkIsolationManager, setHost } from "../network/index.ts";
import type { EffectivePolicy } from "../policy/index.ts";
import type { ProvenNetwork } from "./container/prove.ts";
import type { LiveJob } from "./live-job.ts";

export interface JobNetworkParts {
  /** Undefined: this orchestrator gives no job a network. */
  readonly networks: NetworkIsolationManager | undefined;
  readonly policy: EffectivePolicy;
}

/** @param egress what this job asks for besides the policy's own. Throws what refused it. */
export async function openJobNetwork({ networks, policy }: JobNetworkParts, job: LiveJob, egress: readonly string[]): Promise<void> {
  const mode = policy.values["jobs.network"];
  try {
    if (egress.length > 0 && policy.values.locks.includes("jobs.egress"))
      throw new CofferdamError("POLICY_LOCKED", "the policy locks jobs.egress: no job adds to it", { hint: "ask whoever wrote the lock" });
    if (networks === undefined || mode === "none") {
      if (egress.length > 0)
        throw new CofferdamError("FAILED_PRECONDITION", "the job asks for destinations, and jobs have no network here", {
          hint: networks === undefined ? "components.network is off" : "in a policy of yours: jobs: {network: moderate}",
        });
      return job.pass("networkIsolation", "the job has no network at all");
    }
    const { rules: allowedDomains, notes } = await expandSets([...policy.values["jobs.egress"], ...egress], setHost(process.env));
    const customDNS = policy.values["jobs.name-servers"].length === 0 ? undefined : policy.values["jobs.name-servers"];
    const observe = policy.values.mode === "observe";
    job.network = await networks.createIsolatedNetwork(job.identity.jobId, { isolationMode: mode, allowedDomains, observe, customDNS });
    job.networkNotes.push(...notes, ...job.network.notes);
    job.pass("networkIsolation", `mode ${mode}, ${allowedDomains.length} ${allowedDomains.length === 1 ? "rule" : "rules"}`);
  } catch (error) {
    throw job.refuse("networkIsolation", error);
  }
}

/** Before anything of the job runs. @returns what the kernel must show then; undefined when it has no network. */
export async function connectJob(
  networks: NetworkIsolationManager | undefined,
  { identity, network }: LiveJob,
  { Id, State }: ContainerInspect,
): Promise<ProvenNetwork | undefined> {
  if (networks === undefined || network === undefined) return undefined;
  const link = await networks.attachProcess(identity.jobId, { pid: State.Pid, started: startOf(State.Pid) ?? "" }, { containerId: Id });
  return { inode: link.inode, addresses: [link.v4, ...(link.v6 === undefined ? [] : [link.v6])], gateway: network.gateway };
}

/** Whatever was refused is a failure of the job, where the policy says so. */
export function judgeTraffic(job: LiveJob, policy: EffectivePolicy): void {
  if (policy.values["jobs.on-refusal"] === "note") return;
  const { connections = [], dns = [] } = job.traffic ?? {};
  const tried = connections
    .filter(({ verdict }) => verdict === "refused")
    .map(({ domain, dst, port }) => `${domain ?? dst}${port === undefined ? "" : `:${port}`}`);
  // At strict a name that is refused does not exist: nothing is tried after the question.
  const asked = dns.filter(({ verdict, name }) => verdict === "refused" && connections.every(({ domain }) => domain !== name)).map(({ name }) => name);
  const refused = [...new Set([...tried, ...asked])];
  const [where] = refused;
  if (where === undefined) return;
  const more = refused.length > 1 ? ` and ${refused.length - 1} more` : "";
  job.stop(
    new CofferdamError("SECURITY_VIOLATION", `it tried to reach ${where}${more}, and jobs.on-refusal is fail`, { details: { control: "network-isolation" } }),
  );
}
