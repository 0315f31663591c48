/**
 * Recorded installs: where a package was installed, with what decision, and what its scripts did. The audit trail stays the
 * evidence; this is the index that answers `cofferdam where`, and lets new advisories be held against what was installed.
 */
import { hash } from "node:crypto";
import { type Clock, CofferdamError } from "../../foundation/index.ts";
import type { SqlValue, Store, Transaction } from "../../store/index.ts";
import type { FoundInstall, Install, InstalledVersion, RecordedInstall, RememberedScript } from "./install.ts";
import { installOf, scriptOf, text, versionOf } from "./rows.ts";
import { MIGRATIONS } from "./tables.ts";

/** What is older is forgotten: longer than a year, so that a yearly look back finds all of it. */
const KEEP_MS: number = 400 * 86_400_000;
const MAX_PACKAGES = 200_000;
const MAX_TEXTS = 50;
const MAX_TEXT = 300;
const MAX_PAGE = 1000;

export interface WhereQuery {
  /** Names that count as the one that is looked for. */
  readonly names: readonly string[];
  readonly version?: string | undefined;
  /** 1 to 1000; default 50. */
  readonly limit?: number;
  /** `next` of the page before. */
  readonly after?: string | undefined;
}

export interface WherePage {
  /** Newest first. */
  readonly installs: readonly FoundInstall[];
  /** Undefined on the last page. */
  readonly next: string | undefined;
}

/** Package versions of the installs of some time, each once, and the installs by the sets that hold them. */
export interface RecentInstalls {
  readonly versions: readonly { readonly name: string; readonly version: string; readonly sets: readonly string[] }[];
  readonly installs: ReadonlyMap<string, readonly Install[]>;
}

export class InstallHistory {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async initialize(): Promise<void> {
    await this.#store.migrate("installs", MIGRATIONS);
  }

  /** Remembers an install, and forgets those of more than 400 days ago. Throws PAYLOAD_TOO_LARGE, CONFLICT (it is there already). */
  async record(install: RecordedInstall): Promise<void> {
    if (install.packages.length > MAX_PACKAGES) throw new CofferdamError("PAYLOAD_TOO_LARGE", `an install of more than ${MAX_PACKAGES} packages`);
    const set = packageSet(install.packages);
    await this.#store.write(async (tx) => {
      if ((await tx.get("SELECT run_id FROM installs WHERE run_id = ?", [install.runId])) !== undefined)
        throw new CofferdamError("CONFLICT", `install ${install.runId} is recorded already`);
      await putSet(tx, set);
      const [first, last] = install.auditRange ?? [null, null];
      await tx.run(
        "INSERT INTO installs (run_id, project, at, command, level, decision, code, on_disk, policy, first_seq, last_seq, set_digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
          ...[install.runId, install.project, install.at, install.command, install.level, install.decision, install.code ?? null],
          ...[install.onDisk ? 1 : 0, install.policyDigest, first, last, set.digest],
        ],
      );
      for (const [position, script] of install.scripts.entries()) await putScript(tx, install.runId, position, script);
      await forget(tx, this.#clock.now() - KEEP_MS);
    });
  }

  /** Installs that had a package, newest first. Throws INVALID_ARGUMENT for a limit or cursor that is none. */
  async where(query: WhereQuery): Promise<WherePage> {
    const limit = query.limit ?? 50;
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) throw new CofferdamError("INVALID_ARGUMENT", `a page has 1 to ${MAX_PAGE} installs`);
    if (query.names.length === 0) return { installs: [], next: undefined };
    const [named, names] = packageClause(query);
    const [before, place] = query.after === undefined ? ["", []] : [" AND (at < ? OR (at = ? AND run_id < ?))", cursorPlace(query.after)];
    return await this.#store.read(async (tx) => {
      const rows = await tx.all(
        `SELECT * FROM installs WHERE set_digest IN (SELECT set_digest FROM install_set_packages WHERE ${named})${before} ORDER BY at DESC, run_id DESC LIMIT ?`,
        [...names, ...place, limit + 1],
      );
      const installs: FoundInstall[] = [];
      for (const row of rows.slice(0, limit)) {
        const versions = await tx.all(
          `SELECT name, version, integrity FROM install_set_packages WHERE set_digest = ? AND ${named} ORDER BY name, version, integrity`,
          [text(row, "set_digest"), ...names],
        );
        const scripts = await tx.all(`SELECT * FROM install_scripts WHERE run_id = ? AND ${named} ORDER BY position`, [text(row, "run_id"), ...names]);
        installs.push({ ...installOf(row), versions: versions.map(versionOf), scripts: scripts.map(scriptOf) });
      }
      const last = installs.at(-1);
      return { installs, next: rows.length > limit && last !== undefined ? `${last.at}-${last.runId}` : undefined };
    });
  }

  /** What was on a disk since a time (ms since the epoch): each package version once. */
  async recent(sinceMs: number): Promise<RecentInstalls> {
    return await this.#store.read(async (tx) => {
      const installs = new Map<string, Install[]>();
      for await (const row of tx.iterate("SELECT * FROM installs WHERE at >= ? AND on_disk = 1 ORDER BY at, run_id", [sinceMs])) {
        const set = text(row, "set_digest");
        const known = installs.get(set);
        if (known === undefined) installs.set(set, [installOf(row)]);
        else known.push(installOf(row));
      }
      const versions = new Map<string, { readonly name: string; readonly version: string; readonly sets: string[] }>();
      for (const set of installs.keys()) {
        for await (const row of tx.iterate("SELECT DISTINCT name, version FROM install_set_packages WHERE set_digest = ?", [set])) {
          const [name, version] = [text(row, "name"), text(row, "version")];
          const key = `${name}\0${version}`;
          const known = versions.get(key);
          if (known === undefined) versions.set(key, { name, version, sets: [set] });
          else known.sets.push(set);
        }
      }
      return { versions: [...versions.values()], installs };
    });
  }

  /** Forgets installs from before a time (ms since the epoch), and sets that nobody has any more. @returns how many installs. */
  async prune(olderThan: number): Promise<number> {
    return await this.#store.write((tx) => forget(tx, olderThan));
  }
}

interface PackageSet {
  readonly digest: string;
  readonly packages: readonly (readonly [name: string, version: string, integrity: string])[];
}

function packageSet(packages: readonly InstalledVersion[]): PackageSet {
  const lines = new Map(packages.map(({ name, version, integrity = "" }) => [JSON.stringify([name, version, integrity]), [name, version, integrity] as const]));
  const keys = [...lines.keys()].sort();
  return { digest: hash("sha256", keys.join("\n"), "hex"), packages: keys.flatMap((key) => [lines.get(key)].filter((one) => one !== undefined)) };
}

async function putSet(tx: Transaction, { digest, packages }: PackageSet): Promise<void> {
  if ((await tx.get("SELECT size FROM install_sets WHERE digest = ?", [digest])) !== undefined) return;
  await tx.run("INSERT INTO install_sets (digest, size) VALUES (?, ?)", [digest, packages.length]);
  for (const one of packages) await tx.run("INSERT INTO install_set_packages (set_digest, name, version, integrity) VALUES (?, ?, ?, ?)", [digest, ...one]);
}

async function putScript(tx: Transaction, runId: string, position: number, script: RememberedScript): Promise<void> {
  const short = (texts: readonly string[]): string => JSON.stringify(texts.slice(0, MAX_TEXTS).map((one) => one.slice(0, MAX_TEXT)));
  await tx.run(
    "INSERT INTO install_scripts (run_id, position, name, version, event, ran, why, exit, killed_by, refused_count, refused, reached) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [
      ...[runId, position, script.name, script.version, script.event, script.ran ? 1 : 0, script.why.slice(0, MAX_TEXT)],
      ...[script.exit ?? null, script.killedBy ?? null, script.refusedCount, short(script.refused), short(script.reached)],
    ],
  );
}

async function forget(tx: Transaction, olderThan: number): Promise<number> {
  if ((await tx.get("SELECT run_id FROM installs WHERE at < ? LIMIT 1", [olderThan])) === undefined) return 0;
  await tx.run("DELETE FROM install_scripts WHERE run_id IN (SELECT run_id FROM installs WHERE at < ?)", [olderThan]);
  const { changes } = await tx.run("DELETE FROM installs WHERE at < ?", [olderThan]);
  await tx.run("DELETE FROM install_set_packages WHERE set_digest NOT IN (SELECT set_digest FROM installs)");
  await tx.run("DELETE FROM install_sets WHERE digest NOT IN (SELECT set_digest FROM installs)");
  return changes;
}

function packageClause({ names, version }: WhereQuery): [sql: string, params: SqlValue[]] {
  const marks = names.map(() => "?").join(", ");
  return version === undefined ? [`name IN (${marks})`, [...names]] : [`name IN (${marks}) AND version = ?`, [...names, version]];
}

function cursorPlace(after: string): SqlValue[] {
  const [, at, runId] = /^(\d{1,16})-(run_[a-z0-9]{26})$/.exec(after) ?? [];
  if (at === undefined || runId === undefined)
    throw new CofferdamError("INVALID_ARGUMENT", `not the \`next\` of a page: ${JSON.stringify(after.slice(0, 60))}`);
  return [Number(at), Number(at), runId];
}
