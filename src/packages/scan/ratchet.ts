/**
 * The ratchet's memory: since when a finding that a project's base had has been seen. Accepting it ends some time after, so
 * that "it was there before us" is not for ever. Where the state directory is new every time, so is the memory.
 */
import type { Migration, Store } from "../../store/index.ts";
import type { Finding } from "../../vulnerability/index.ts";

const MIGRATIONS: readonly Migration[] = [
  {
    name: "ratchet",
    sql: [
      "CREATE TABLE ratchet (project TEXT NOT NULL, package TEXT NOT NULL, advisory TEXT NOT NULL, first_seen BIGINT NOT NULL, PRIMARY KEY (project, package, advisory))",
    ],
  },
];

export class Ratchet {
  readonly #store: Store;
  readonly #project: string;

  /** @param project its real path. */
  constructor(store: Store, project: string) {
    this.#store = store;
    this.#project = project;
  }

  /** When each finding was first seen, ms since the epoch, in order: `now` for one that is new. */
  async firstSeen(findings: readonly Finding[], now: number): Promise<readonly number[]> {
    if (findings.length === 0) return [];
    await this.#store.migrate("ratchet", MIGRATIONS);
    const rows = await this.#store.read((tx) => tx.all("SELECT package, advisory, first_seen FROM ratchet WHERE project = ?", [this.#project]));
    const known = new Map(rows.map((row) => [keyOf(String(row["package"]), String(row["advisory"])), Number(row["first_seen"])]));
    // Under any of its ids: which one is shown changes when another database tells of it, and that is no new beginning.
    const times = findings.map((finding) => Math.min(now, ...[finding.id, ...finding.aliases].flatMap((id) => known.get(keyOf(finding.package, id)) ?? [])));
    const fresh = findings.map((finding, i) => ({ finding, time: times[i] ?? now })).filter(({ finding }) => !known.has(keyOf(finding.package, finding.id)));
    if (fresh.length > 0)
      await this.#store.write(async (tx) => {
        for (const { finding, time } of fresh)
          await tx.run("INSERT INTO ratchet (project, package, advisory, first_seen) VALUES (?, ?, ?, ?) ON CONFLICT (project, package, advisory) DO NOTHING", [
            ...[this.#project, finding.package, finding.id, time],
          ]);
      });
    return times;
  }
}

function keyOf(name: string, advisory: string): string {
  return `${name} ${advisory}`;
}
