/** What a script leaves in the audit trail: one event, whether it ran or not. */
import type { AuditEventInput } from "../../audit/index.ts";
import type { JsonObject } from "../../foundation/index.ts";
import type { DecidedScript, ScriptOutcome } from "../../packages/index.ts";

export interface Trail {
  log(event: AuditEventInput): Promise<void>;
}

const MAX_FINDINGS = 50;

export function ranEvent(script: DecidedScript, { run }: ScriptOutcome): AuditEventInput {
  if (run === undefined) return skippedEvent(script);
  return {
    ...base(script),
    result: run.exit === 0 ? "success" : "failure",
    details: {
      ...facts(script),
      exceptions: [...run.exceptions],
      exit: run.exit ?? null,
      signal: run.signal ?? null,
      killedBy: run.killedBy ?? null,
      refused: run.refused.slice(0, MAX_FINDINGS).map(({ kind, what, why }) => ({ kind, what: what.slice(0, 300), why })),
      refusedCount: run.refused.length,
      written: run.written.length,
      leftOut: run.leftOut.slice(0, MAX_FINDINGS).map(({ path, why }) => ({ path: path.slice(0, 300), why })),
      layers: { landlock: run.layers.landlock, cgroup: [...run.layers.cgroup], memory: run.layers.memory, dropped: run.layers.dropped },
    },
  };
}

/** @param run `skipped` when it did not run, `unjailed` when level low let it run without a jail. */
export function skippedEvent(script: DecidedScript, run: "skipped" | "unjailed" = "skipped"): AuditEventInput {
  return { ...base(script), result: "failure", details: { ...facts(script), run } };
}

function base({ asker }: DecidedScript): Pick<AuditEventInput, "category" | "action" | "resourceType" | "resourceId"> {
  return { category: "packages", action: "RuntimeProtection", resourceType: "project", resourceId: asker.root.slice(0, 1024) };
}

function facts({ asker, decision, policy, body }: DecidedScript): JsonObject {
  return {
    door: "script-shell",
    package: decision.package.slice(0, 512),
    path: asker.path.slice(0, 512),
    script: asker.event,
    command: asker.command,
    body: body.slice(0, 1000),
    level: policy.values.level,
    mode: policy.values.mode,
    policy: policy.digest,
    basis: decision.basis,
    why: decision.why.slice(0, 500),
    grant: { key: decision.grant.key ?? null, net: [...decision.grant.net], write: [...decision.grant.write] },
  };
}
