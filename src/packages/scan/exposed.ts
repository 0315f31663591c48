/**
 * New advisories, held against what was installed: a finding that the policy would deny today, about a package of the last 90
 * days, that was not known when it was installed. Each is raised once for a project.
 */
import type { AuditSink } from "../../audit/index.ts";
import type { Clock } from "../../foundation/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import type { Migration, Store } from "../../store/index.ts";
import { type AdvisoryIndex, type Finding, match } from "../../vulnerability/index.ts";
import { InstallHistory } from "../installs/history.ts";
import type { Install } from "../installs/install.ts";
import { latestTime } from "./known-time.ts";
import { judgeFinding } from "./verdict.ts";

export interface Exposure {
  readonly finding: Finding;
  readonly reason: string;
  /** Real path of the project. */
  readonly project: string;
  /** The newest install that had it, as one of {@link installs}. */
  readonly installedAt: number;
  readonly runId: string;
  readonly auditRange: readonly [number, number] | undefined;
  readonly installs: number;
}

export interface ExposedRequest {
  readonly index: AdvisoryIndex;
  readonly policy: EffectivePolicy;
  readonly store: Store;
  readonly audit: AuditSink;
  readonly clock: Clock;
}

const LOOK_BACK: number = 90 * 86_400_000;
/** Events of one look; what is beyond it is counted in the last one and raised at the next. */
const MAX_RAISED = 1000;

const MIGRATIONS: readonly Migration[] = [
  {
    name: "known",
    sql: [
      // What was known of a project's package, by then or since: nobody is told twice.
      "CREATE TABLE known_findings (project TEXT NOT NULL, package TEXT NOT NULL, version TEXT NOT NULL, advisory TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (project, package, version, advisory))",
    ],
  },
];

/** Raises what is new as audit events `PackageExposed`, and returns it, the worst first. */
export async function raiseExposed(request: ExposedRequest): Promise<readonly Exposure[]> {
  const { store, clock, audit } = request;
  const now = await latestTime(store, clock);
  const exposures = (await exposuresOf(request, now)).slice(0, MAX_RAISED);
  const known = new KnownFindings(store);
  const fresh = await known.unknown(exposures);
  for (const one of fresh) {
    await audit.log({
      category: "packages",
      action: "PackageExposed",
      result: "failure",
      resourceType: "project",
      resourceId: one.project.slice(0, 1024),
      sessionId: one.runId,
      details: {
        subject: `${one.finding.package}@${one.finding.version}`.slice(0, 300),
        id: one.finding.id,
        severity: one.finding.severity,
        reason: one.reason,
        installedAt: new Date(one.installedAt).toISOString(),
        records: one.auditRange === undefined ? null : [...one.auditRange],
        installs: one.installs,
      },
    });
  }
  await known.remember(
    fresh.map(({ project, finding }) => ({ project, finding })),
    now,
  );
  return fresh;
}

async function exposuresOf({ index, policy, store, clock }: ExposedRequest, now: number): Promise<Exposure[]> {
  const history = new InstallHistory(store, clock);
  await history.initialize();
  const { versions, installs } = await history.recent(now - LOOK_BACK);
  const setsOf = new Map(versions.map(({ name, version, sets }) => [`${name}@${version}`, sets]));
  const exposures: Exposure[] = [];
  for (const finding of match(index, versions).findings) {
    const { verdict, reason } = judgeFinding(finding, {
      ...{ values: { ...policy.values, mode: "enforce" }, allowance: (what) => policy.allowance(what), base: "the install", hadSince: () => undefined, now },
    });
    if (verdict !== "deny") continue;
    const had = (setsOf.get(`${finding.package}@${finding.version}`) ?? []).flatMap((set) => installs.get(set) ?? []);
    for (const [project, ofProject] of Map.groupBy(had, (install) => install.project)) {
      const newest = ofProject.reduce((a: Install, b) => (b.at > a.at ? b : a));
      exposures.push({
        ...{ finding, reason, project, runId: newest.runId, auditRange: newest.auditRange },
        installedAt: newest.at,
        installs: ofProject.length,
      });
    }
  }
  return exposures.sort((a, b) => Number(b.finding.malware) - Number(a.finding.malware) || b.installedAt - a.installedAt);
}

interface Known {
  readonly project: string;
  readonly finding: Finding;
}

export class KnownFindings {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** What was found when a project was installed: whoever installed it was told. */
  async remember(known: readonly Known[], now: number): Promise<void> {
    if (known.length === 0) return;
    await this.#store.migrate("exposed", MIGRATIONS);
    await this.#store.write(async (tx) => {
      for (const { project, finding } of known)
        await tx.run(
          "INSERT INTO known_findings (project, package, version, advisory, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (project, package, version, advisory) DO NOTHING",
          [project, finding.package, finding.version, finding.id, now],
        );
    });
  }

  /** Those that nobody was told of, under any of their ids. */
  async unknown<T extends Known>(all: readonly T[]): Promise<readonly T[]> {
    if (all.length === 0) return [];
    await this.#store.migrate("exposed", MIGRATIONS);
    return await this.#store.read(async (tx) => {
      const left: T[] = [];
      for (const one of all) {
        const { package: name, version } = one.finding;
        const rows = await tx.all("SELECT advisory FROM known_findings WHERE project = ? AND package = ? AND version = ?", [one.project, name, version]);
        const ids = [one.finding.id, ...one.finding.aliases];
        if (!rows.some(({ advisory }) => ids.includes(String(advisory)))) left.push(one);
      }
      return left;
    });
  }
}
