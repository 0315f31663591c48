/** What the audit trail proves of guarded installs: one unit a run, from the events that carry its session. */
import { z } from "zod";
import type { AuditEvent } from "../../audit/index.ts";
import { coverage, type TrailState } from "./job-evidence.ts";
import type { Evidence, ScoreUnit } from "./score.ts";

const OUTCOMES: readonly string[] = ["PackageInstall", "PackageUpdate", "PackageUninstall"];

/** What of the outcome counts. Everything else of it, and everything of an event with another form, is left aside. */
const outcomeSchema = z.object({
  mode: z.enum(["enforce", "observe"]),
  packages: z.int().min(0),
  verified: z.int().min(0),
  scripts: z.int().min(0),
  exit: z.int().nullable().optional(),
  differences: z.int().min(0).optional(),
  boxed: z.boolean().nullable(),
});
const scanSchema = z.object({ sources: z.array(z.object({ status: z.string() })).min(1) });
const judgedSchema = z.object({ packages: z.array(z.unknown()) });
const scriptSchema = z.object({ package: z.string(), script: z.string(), layers: z.object({}) });

interface Run {
  readonly events: AuditEvent[];
}

const PROVEN: Evidence = { state: "proven" };
const off = (why: string): Evidence => ({ state: "off", why });
const unknown = (why: string): Evidence => ({ state: "unknown", why });
const exempt = (why: string): Evidence => ({ state: "not-applicable", why });

/** @param events of the audit trail, in any order; those that belong to no guarded install are left aside. */
export function installUnits(events: Iterable<AuditEvent>, trail: TrailState): readonly ScoreUnit[] {
  const runs = new Map<string, Run>();
  for (const event of events) {
    if (event.category !== "packages" || event.sessionId === undefined) continue;
    const run = runs.get(event.sessionId);
    if (run === undefined) runs.set(event.sessionId, { events: [event] });
    else run.events.push(event);
  }
  return [...runs.values()].flatMap(({ events: own }) => {
    const unit = unitOf(own, trail);
    return unit === undefined ? [] : [unit];
  });
}

function unitOf(events: readonly AuditEvent[], trail: TrailState): ScoreUnit | undefined {
  const ended = events.find(({ action }) => OUTCOMES.includes(action));
  const judged = events.find(({ action, details }) => action === "IntegrityCheck" && judgedSchema.safeParse(details).success);
  if (ended === undefined && judged === undefined) return undefined;
  const last = Math.max(...events.map(({ seq }) => seq));
  const outcome = outcomeSchema.safeParse(ended?.details);
  return {
    kind: "install",
    at: Math.max(...events.map(({ timestamp }) => Date.parse(timestamp))),
    evidence: {
      ...(outcome.success ? outcomeEvidence(outcome.data, events) : {}),
      ...NOT_BUILT,
      "install.integrity": integrity(outcome.data, judged !== undefined),
      "install.advisories-fresh": freshness(events),
      "install.recorded": recorded(judged, ended),
      ...coverage("install", last, trail),
    },
  };
}

const NOT_BUILT: Readonly<Record<string, Evidence>> = {
  "install.signatures": off("this version does not verify registry signatures"),
  "install.provenance": off("this version does not verify provenance"),
  "install.age": off("this version does not look at the age of versions"),
};

type Outcome = z.infer<typeof outcomeSchema>;

function outcomeEvidence(outcome: Outcome, events: readonly AuditEvent[]): Record<string, Evidence> {
  const { mode, boxed, differences, scripts } = outcome;
  const ifRan = (evidence: Evidence): Evidence => (neverRan(outcome) ? exempt("it ended before the client started") : evidence);
  const jailed = events.filter(({ action, details }) => action === "RuntimeProtection" && scriptSchema.safeParse(details).success).length;
  return {
    "install.enforced": mode === "enforce" ? PROVEN : off("mode observe: nothing was refused"),
    "install.boxed": ifRan(boxed === true ? PROVEN : off("the client ran without a network of its own")),
    "install.compared": ifRan(differences === undefined ? unknown("the tree was not compared") : PROVEN),
    "install.scripts-jailed":
      scripts === 0 ? exempt("no install script ran") : jailed >= scripts ? PROVEN : unknown("not every script that ran has its jail on record"),
  };
}

function neverRan({ exit, boxed }: Outcome): boolean {
  return exit === undefined && boxed === null;
}

function integrity(outcome: Outcome | undefined, judged: boolean): Evidence {
  if (outcome === undefined) return unknown("its outcome is not on record");
  if (outcome.packages === 0) return exempt("there was no package to verify");
  if (!judged) return neverRan(outcome) ? exempt("it ended before anything was fetched") : unknown("its judged set is not on record");
  return outcome.verified >= outcome.packages ? PROVEN : off("not every package had a hash to verify");
}

function freshness(events: readonly AuditEvent[]): Evidence {
  const scans = events.filter(({ action }) => action === "VulnerabilityScan").map(({ details }) => scanSchema.safeParse(details));
  if (scans.length === 0) return unknown("it was not judged against advisories");
  const fresh = scans.every(({ data }) => data?.sources.every(({ status }) => status === "fresh") === true);
  return fresh ? PROVEN : off("its advisories were missing or too old");
}

/** The judged set is written before the client starts; a denial has nothing to judge before. */
function recorded(judged: AuditEvent | undefined, ended: AuditEvent | undefined): Evidence {
  if (ended === undefined) return off("its outcome is not on record");
  const denied = ended.result === "failure" && judged === undefined;
  return denied || (judged !== undefined && judged.seq < ended.seq) ? PROVEN : off("its judged set is not on record");
}
