/** Threats as the state directory remembers them: whoever looks into one later is another process than the one that saw it. */
import { type Clock, CofferdamError, type JsonValue } from "../../foundation/index.ts";
import type { Migration, Row, Store } from "../../store/index.ts";
import { type Resolution, resolved, type Severity, type Threat, threatSchema } from "./threat.ts";

const MIGRATIONS: readonly Migration[] = [
  {
    name: "threats",
    sql: [
      "CREATE TABLE threats (id TEXT PRIMARY KEY, at BIGINT NOT NULL, job_id TEXT, severity TEXT NOT NULL, state TEXT NOT NULL, body TEXT NOT NULL)",
      "CREATE INDEX threats_state ON threats (state, at)",
      "CREATE INDEX threats_job ON threats (job_id)",
    ],
  },
];

/** Resolved ones that are kept; an open one stays until somebody resolves it. */
const KEPT_RESOLVED = 1000;

export interface ThreatFilter {
  readonly state?: "open" | "resolved" | undefined;
  /** At most, 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
}

export class ThreatStore {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async initialize(): Promise<void> {
    await this.#store.migrate("threats", MIGRATIONS);
  }

  async add(threat: Threat): Promise<void> {
    await this.#store.write((tx) =>
      tx.run("INSERT INTO threats (id, at, job_id, severity, state, body) VALUES (?, ?, ?, ?, ?, ?)", [
        ...[threat.id, this.#clock.now(), threat.jobId ?? null, threat.severity, threat.state, JSON.stringify(threat)],
      ]),
    );
  }

  /** Throws NOT_FOUND, CONFLICT when it is resolved already, INVALID_ARGUMENT without a name. */
  async resolve(id: string, by: Pick<Resolution, "by" | "note">): Promise<Threat> {
    return await this.#store.write(async (tx) => {
      const threat = found(await tx.get("SELECT body FROM threats WHERE id = ?", [id]), id);
      const done = resolved(threat, by, this.#clock);
      await tx.run("UPDATE threats SET state = ?, body = ? WHERE id = ?", [done.state, JSON.stringify(done), id]);
      await tx.run(
        "DELETE FROM threats WHERE state = 'resolved' AND id NOT IN (SELECT id FROM threats WHERE state = 'resolved' ORDER BY at DESC, id DESC LIMIT ?)",
        [KEPT_RESOLVED],
      );
      return done;
    });
  }

  /** Throws NOT_FOUND. */
  async get(id: string): Promise<Threat> {
    return found(await this.#store.read((tx) => tx.get("SELECT body FROM threats WHERE id = ?", [id])), id);
  }

  /** Newest first. */
  async list({ state, limit = 100 }: ThreatFilter = {}): Promise<readonly Threat[]> {
    const where = state === undefined ? "" : "WHERE state = ? ";
    const rows = await this.#store.read((tx) =>
      tx.all(`SELECT id, body FROM threats ${where}ORDER BY at DESC, id DESC LIMIT ?`, [...(state === undefined ? [] : [state]), limit]),
    );
    return rows.map((row) => found(row, String(row["id"])));
  }

  /** Those of one job, oldest first; the first thousand. */
  async ofJob(jobId: string): Promise<readonly Threat[]> {
    const rows = await this.#store.read((tx) => tx.all("SELECT id, body FROM threats WHERE job_id = ? ORDER BY at, id LIMIT 1000", [jobId]));
    return rows.map((row) => found(row, String(row["id"])));
  }

  /** An open one of a job, or this one while it is open. */
  async openOf(jobId: string, threatId: string | undefined): Promise<string | undefined> {
    const row = await this.#store.read((tx) =>
      tx.get("SELECT id FROM threats WHERE state = 'open' AND (job_id = ? OR id = ?) LIMIT 1", [jobId, threatId ?? jobId]),
    );
    return row === undefined ? undefined : String(row["id"]);
  }

  /** Every open one, by severity. */
  async open(): Promise<readonly { readonly severity: Severity; readonly state: "open" }[]> {
    const rows = await this.#store.read((tx) => tx.all("SELECT id, body FROM threats WHERE state = 'open'"));
    return rows.map((row) => ({ severity: found(row, String(row["id"])).severity, state: "open" }));
  }
}

function found(row: Row | undefined, id: string): Threat {
  if (row === undefined) throw new CofferdamError("NOT_FOUND", `no threat ${id.slice(0, 80)}`, { hint: "cofferdam threats list" });
  const parsed = threatSchema.safeParse(parseJson(row["body"]));
  if (!parsed.success) throw new CofferdamError("INTEGRITY_FAILURE", `threat ${id.slice(0, 80)} in the database cannot be read`);
  return parsed.data;
}

function parseJson(text: Row[string] | undefined): JsonValue | undefined {
  if (typeof text !== "string") return undefined;
  try {
    const value: JsonValue = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}
