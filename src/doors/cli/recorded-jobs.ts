/** What jobs of this machine did on their networks, as their reports keep it; and the list that they ran under. */
import { CofferdamError } from "../../foundation/index.ts";
import type { JobBook, JobReport } from "../../jobs/index.ts";
import { expandSets, type NetworkPolicy, type RecordedJob, setHost } from "../../network/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import type { CommandContext } from "./command.ts";

const MAX_RUNS = 200;

/** Jobs by name, or the last of a repository; those without a network have nothing to tell. Throws NOT_FOUND, INVALID_ARGUMENT. */
export async function recordedJobs(book: JobBook, { values }: CommandContext, ids: readonly string[]): Promise<readonly RecordedJob[]> {
  const { repo } = values;
  const runs = Number(values["runs"] ?? 20);
  if (!Number.isInteger(runs) || runs < 1 || runs > MAX_RUNS) throw new CofferdamError("INVALID_ARGUMENT", `--runs is a number from 1 to ${MAX_RUNS}`);
  if ((typeof repo === "string") === ids.length > 0) throw new CofferdamError("INVALID_ARGUMENT", "which jobs? Name them, or say --repo OWNER/NAME");
  const reports =
    typeof repo === "string"
      ? (await book.list({ repository: repo, limit: runs })).flatMap(({ report }) => report ?? [])
      : await Promise.all(ids.map((id) => book.report(id)));
  return reports.filter(({ network }) => network.mode !== "none").map(recorded);
}

function recorded({ jobId, network, cut }: JobReport): RecordedJob {
  return { jobId, connections: network.connections ?? [], coalesced: (network.coalesced ?? 0) + (cut["network.connections"] ?? 0) };
}

/** What the effective policy lets jobs reach, with its sets as the rules that they stand for here. */
export async function listedEgress({ values }: EffectivePolicy, env: CommandContext["env"]): Promise<NetworkPolicy> {
  const mode = values["jobs.network"];
  if (mode === "none") return { mode: "strict", allow: [], deny: [] };
  const { rules } = await expandSets(values["jobs.egress"], setHost(env));
  return { mode, allow: rules, deny: [] };
}
