/** What to do after a job: each recommendation follows from a fact of its report, and says what to write. */
import { isPinned } from "../score/job-evidence.ts";
import { SEVERITIES } from "../threats/threat.ts";
import { sizeText, sizeWord } from "./amounts.ts";
import type { JobFacts, Recommendation, ResourceAmounts } from "./schema.ts";

/** Percent of a quota from which more of it is advised. */
const NEAR = { memory: 85, disk: 80 } as const;
/** Share of its time that a job waited for cpu. */
const WAITED = 0.2;
/** A reference that can be pasted into a shell. */
const PLAIN_REFERENCE = /^[a-z0-9][A-Za-z0-9._/:-]*$/;

/** The most urgent first. */
export function recommendationsFor(facts: JobFacts, percent: ResourceAmounts): readonly Recommendation[] {
  const found = [
    ...[...ending(facts), ...openThreats(facts), ...trail(facts), ...leftovers(facts)],
    ...[...memory(facts, percent), ...processes(facts), ...disk(facts, percent), ...cpu(facts)],
    ...[...image(facts), ...container(facts), ...results(facts)],
  ];
  const order = ["high", "medium", "low"] as const;
  return order.flatMap((priority) => found.filter((one) => one.priority === priority));
}

function ending({ stoppedBy, mode }: JobFacts): Recommendation[] {
  const observed: Recommendation[] =
    mode === "observe" ? [{ priority: "high", message: "mode observe: what the policy refuses was let through", fix: "mode: enforce in cofferdam.yaml" }] : [];
  if (stoppedBy === undefined) return observed;
  const fix = stoppedBy.hint ?? (stoppedBy.code === "DEADLINE_EXCEEDED" ? "--timeout, or jobs.timeout in cofferdam.yaml" : undefined);
  return fix === undefined ? observed : [{ priority: "high", message: stoppedBy.message, fix }, ...observed];
}

function openThreats({ threats }: JobFacts): Recommendation[] {
  const open = threats.filter(({ state }) => state === "open");
  const worst = SEVERITIES.find((severity) => open.some((threat) => threat.severity === severity));
  if (worst === undefined) return [];
  const message = open.length === 1 ? `a threat is open, of severity ${worst}` : `${open.length} threats are open, the worst of severity ${worst}`;
  return [{ priority: "high", message, fix: "find out what it was and resolve it: an open threat lowers the score" }];
}

function trail({ auditTrail: { verified, anchored } }: JobFacts): Recommendation[] {
  return [
    ...(verified
      ? []
      : [
          {
            priority: "high" as const,
            message: "the audit trail was not verified: this report rests on records that nobody checked",
            fix: "cofferdam audit verify",
          },
        ]),
    ...(anchored
      ? []
      : [
          {
            priority: "low" as const,
            message: "no checkpoint kept elsewhere covers its records",
            fix: "audit: {copy: PLACE} in cofferdam.yaml, see docs/audit.md",
          },
        ]),
  ];
}

function leftovers({ leftBehind }: JobFacts): Recommendation[] {
  const [first] = leftBehind;
  if (first === undefined) return [];
  const more = leftBehind.length === 1 ? "" : ` (and ${leftBehind.length - 1} more)`;
  return [{ priority: "high", message: `${first.what} is still there: ${first.why}${more}`, fix: "mend that; the next start takes it away" }];
}

function memory({ resources: { quota, total } }: JobFacts, percent: ResourceAmounts): Recommendation[] {
  if (quota.memory === undefined) return [];
  const kills = total.oomKills ?? 0;
  const fix = `--memory ${sizeWord(2 * quota.memory)}, or quota: {defaults: {memory: ${sizeWord(2 * quota.memory)}}} in cofferdam.yaml`;
  if (kills > 0)
    return [{ priority: "high", message: `out of memory: the kernel ended ${counted(kills, "process", "processes")} at ${sizeText(quota.memory)}`, fix }];
  if (percent.memory === undefined || percent.memory < NEAR.memory) return [];
  return [{ priority: "medium", message: `memory peaked at ${Math.round(percent.memory)} % of ${sizeText(quota.memory)}`, fix }];
}

function processes({ resources: { quota, total } }: JobFacts): Recommendation[] {
  const refused = total.forksRefused ?? 0;
  if (refused === 0 || quota.pids === undefined) return [];
  return [
    {
      priority: "medium",
      message: `${counted(refused, "process was", "processes were")} not started: ${quota.pids} at once is the limit`,
      fix: `--pids ${2 * quota.pids}, or quota: {defaults: {pids: ${2 * quota.pids}}} in cofferdam.yaml`,
    },
  ];
}

function disk({ resources: { quota, limits } }: JobFacts, percent: ResourceAmounts): Recommendation[] {
  const watched = limits.find(({ resource, by }) => resource === "disk" && by === "watched");
  const full: Recommendation[] =
    quota.disk === undefined || percent.disk === undefined || percent.disk < NEAR.disk
      ? []
      : [
          {
            priority: "medium",
            message: `disk peaked at ${Math.round(percent.disk)} % of ${sizeText(quota.disk)}`,
            fix: `--disk ${sizeWord(2 * quota.disk)}, or quota: {defaults: {disk: ${sizeWord(2 * quota.disk)}}} in cofferdam.yaml`,
          },
        ];
  if (watched === undefined) return full;
  return [
    ...full,
    {
      priority: "low",
      message: `its disk limit was watched, not enforced${watched.note === undefined ? "" : `: ${watched.note}`}`,
      fix: "cofferdam doctor names what enforcing it needs",
    },
  ];
}

function cpu({ resources: { quota, total }, times: { runMs } }: JobFacts): Recommendation[] {
  if (quota.cpu === undefined || total.throttledMs === undefined || runMs === undefined || runMs === 0 || total.throttledMs < WAITED * runMs) return [];
  const share = Math.round((100 * total.throttledMs) / runMs);
  return [
    {
      priority: "low",
      message: `it was made to wait for cpu ${share} % of its time`,
      fix: `--cpu ${2 * quota.cpu}, or quota: {defaults: {cpu: ${2 * quota.cpu}}} in cofferdam.yaml`,
    },
  ];
}

function image({ image: { reference, digest } }: JobFacts): Recommendation[] {
  if (isPinned(reference)) return [];
  const name = reference.replace(/:[^/:]*$/, "");
  const known = digest !== undefined && PLAIN_REFERENCE.test(reference);
  const fix = known ? `--image ${name}@${digest}` : "--image NAME@sha256:..., as the engine's image inspect shows it under RepoDigests";
  return [{ priority: "medium", message: "the image is named by a tag, which may lead to another image tomorrow", fix }];
}

function container({ proof }: JobFacts): Recommendation[] {
  if (proof === undefined || proof.held.includes("non-root")) return [];
  return [{ priority: "low", message: "it ran as root", fix: "a USER in the image, or --level high" }];
}

function results({ log, workspace: { leftOut } }: JobFacts): Recommendation[] {
  return [
    ...(leftOut.length === 0
      ? []
      : [
          {
            priority: "medium" as const,
            message: `${counted(leftOut.length, "path", "paths")} of the workspace did not come back: ${leftOut[0]?.path}: ${leftOut[0]?.why}`,
            fix: "write plain files and folders; the report lists the others",
          },
        ]),
    ...(log.truncated
      ? [{ priority: "low" as const, message: "its output was longer than what is kept", fix: "write long output to a file of the workspace" }]
      : []),
  ];
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
