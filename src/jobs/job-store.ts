/**
 * Jobs as the state directory remembers them: what is going on, whose it is, and how it ended. A job that a killed process
 * left behind is found here, by what was written down before each step.
 */
import { z } from "zod";
import { type Clock, CofferdamError, ERROR_TABLE, type ErrorCode, type JsonValue } from "../foundation/index.ts";
import type { Migration, Row, Store, Transaction } from "../store/index.ts";

/** `initializing` until it is decided on and its container proven, `ready` when it waits for a container of others; then `running`, and ends. */
export const JOB_STATES = ["initializing", "ready", "running", "ending", "blocked", "finished", "aborted"] as const;
export type JobState = (typeof JOB_STATES)[number];
const ENDS: readonly JobState[] = ["blocked", "finished", "aborted"];
const ENDED = "'blocked', 'finished', 'aborted'";

/** What a job has on the machine; undefined is nothing. Written before it is made, so that nothing can be left unknown. */
export interface JobHoldings {
  /** Name of its container in the engine. */
  readonly container?: string | undefined;
  /** Its prepared folder on the host. */
  readonly folder?: string | undefined;
  /** Left as it is after the end of the job, on purpose: a frozen container is evidence. */
  readonly kept?: string | undefined;
}

/** Somebody wants it to end: another process of ours, which the one that runs it looks for. */
export interface StopRequest {
  readonly code: ErrorCode;
  readonly message: string;
  /** Its container stays as it is, frozen. */
  readonly keep?: boolean | undefined;
}

export interface StoredJob {
  readonly jobId: string;
  readonly repository: string;
  readonly state: JobState;
  readonly level: string;
  /** Its first words, where they are many. */
  readonly command: readonly string[];
  readonly image: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Which process runs it, as {@link ProcessIdentity} in JSON. */
  readonly owner: string;
  readonly holds: JobHoldings;
  /** The report, once there is one. */
  readonly report: JsonValue | undefined;
}

const MIGRATIONS: readonly Migration[] = [
  {
    name: "jobs",
    sql: [
      `CREATE TABLE jobs (
        job_id TEXT PRIMARY KEY, repository TEXT NOT NULL, state TEXT NOT NULL, level TEXT NOT NULL, command TEXT NOT NULL, image TEXT NOT NULL,
        created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, owner TEXT NOT NULL, holds TEXT NOT NULL, report TEXT)`,
      "CREATE INDEX jobs_repository ON jobs (repository, created_at)",
      "CREATE INDEX jobs_state ON jobs (state)",
    ],
  },
  { name: "stop", sql: ["ALTER TABLE jobs ADD COLUMN stop TEXT"] },
];

/** Reports that are kept of one repository. */
const KEPT_REPORTS = 200;
/** Bytes of a command that are kept. */
const KEPT_COMMAND = 4096;
const text = z.string().optional();
const holdsSchema: z.ZodType<JobHoldings> = z.strictObject({ container: text, folder: text, kept: text });
const wordsSchema = z.array(z.string());
const codes: readonly string[] = Object.keys(ERROR_TABLE);
const stopSchema: z.ZodType<StopRequest> = z.strictObject({
  code: z.custom<ErrorCode>((value) => typeof value === "string" && codes.includes(value)),
  message: z.string().max(2000),
  keep: z.boolean().optional(),
});
const COLUMNS = "job_id, repository, state, level, command, image, created_at, updated_at, owner, holds, report";

export class JobStore {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async initialize(): Promise<void> {
    await this.#store.migrate("jobs", MIGRATIONS);
  }

  /** Throws CONFLICT when there is a job of that id, whatever became of it. @param holds what it may come to have. */
  async create(job: Pick<StoredJob, "jobId" | "repository" | "level" | "command" | "image" | "owner">, holds: JobHoldings = {}): Promise<void> {
    const now = this.#clock.now();
    await this.#store.write(async (tx) => {
      if ((await tx.get("SELECT job_id FROM jobs WHERE job_id = ?", [job.jobId])) !== undefined)
        throw new CofferdamError("CONFLICT", `there is a job ${job.jobId} already`, { hint: "leave --id out, or take another one" });
      await tx.run(`INSERT INTO jobs (${COLUMNS}) VALUES (?, ?, 'initializing', ?, ?, ?, ?, ?, ?, ?, NULL)`, [
        ...[
          job.jobId,
          job.repository,
          job.level,
          JSON.stringify(firstWords(job.command)),
          job.image.slice(0, 1024),
          now,
          now,
          job.owner,
          JSON.stringify(holds),
        ],
      ]);
    });
  }

  /** From one of some states to another, at once. Throws FAILED_PRECONDITION when it is in none of them, NOT_FOUND. */
  async move(jobId: string, from: readonly JobState[], to: JobState): Promise<void> {
    await this.#change(jobId, from, async (tx) => {
      await tx.run("UPDATE jobs SET state = ?, updated_at = ? WHERE job_id = ?", [to, this.#clock.now(), jobId]);
    });
  }

  /** Writes down what a job is about to have, or no longer has. */
  async hold(jobId: string, holds: JobHoldings): Promise<void> {
    await this.#change(jobId, JOB_STATES, async (tx) => {
      await tx.run("UPDATE jobs SET holds = ?, updated_at = ? WHERE job_id = ?", [JSON.stringify(holds), this.#clock.now(), jobId]);
    });
  }

  /**
   * The end of a job, with its report, and with what could not be taken away. Older reports of the repository than the last
   * 200 go, but for jobs that still have something. @returns their ids.
   */
  async end(jobId: string, to: "blocked" | "finished" | "aborted", report: JsonValue, holds: JobHoldings = {}): Promise<readonly string[]> {
    let gone: readonly string[] = [];
    await this.#change(jobId, JOB_STATES, async (tx, { repository }) => {
      await tx.run("UPDATE jobs SET state = ?, report = ?, holds = ?, stop = NULL, updated_at = ? WHERE job_id = ?", [
        ...[to, JSON.stringify(report), JSON.stringify(holds), this.#clock.now(), jobId],
      ]);
      const old = `FROM jobs WHERE repository = ? AND state IN (${ENDED}) AND holds = '{}' AND job_id NOT IN
          (SELECT job_id FROM jobs WHERE repository = ? ORDER BY created_at DESC, job_id DESC LIMIT ?)`;
      const rows = await tx.all(`SELECT job_id ${old}`, [repository, repository, KEPT_REPORTS]);
      if (rows.length > 0) await tx.run(`DELETE ${old}`, [repository, repository, KEPT_REPORTS]);
      gone = rows.map((row) => String(row["job_id"]));
    });
    return gone;
  }

  /** Makes a job ours whose process is gone. @returns false when somebody else was faster. */
  async adopt({ jobId, owner }: StoredJob, to: string): Promise<boolean> {
    const { changes } = await this.#store.write((tx) => tx.run("UPDATE jobs SET owner = ? WHERE job_id = ? AND owner = ?", [to, jobId, owner]));
    return changes > 0;
  }

  /** The first request stays. Throws FAILED_PRECONDITION when the job has ended. */
  async requestStop(jobId: string, request: StopRequest): Promise<void> {
    const going = JOB_STATES.filter((state) => !hasEnded(state));
    await this.#change(jobId, going, async (tx) => {
      const message = request.message.slice(0, 2000);
      await tx.run("UPDATE jobs SET stop = coalesce(stop, ?) WHERE job_id = ?", [JSON.stringify({ ...request, message }), jobId]);
    });
  }

  async stopRequest(jobId: string): Promise<StopRequest | undefined> {
    const row = await this.#store.read((tx) => tx.get("SELECT stop FROM jobs WHERE job_id = ?", [jobId]));
    return stopSchema.safeParse(parseJson(row?.["stop"])).data;
  }

  async get(jobId: string): Promise<StoredJob> {
    const row = await this.#store.read((tx) => tx.get(`SELECT ${COLUMNS} FROM jobs WHERE job_id = ?`, [jobId]));
    if (row === undefined) throw new CofferdamError("NOT_FOUND", `no job ${jobId.slice(0, 80)}`, { hint: "cofferdam job list" });
    return jobOf(row);
  }

  /** Newest first. */
  async list({ repository, limit = 50 }: { readonly repository?: string | undefined; readonly limit?: number } = {}): Promise<readonly StoredJob[]> {
    const where = repository === undefined ? "" : "WHERE repository = ? ";
    const rows = await this.#store.read((tx) =>
      tx.all(`SELECT ${COLUMNS} FROM jobs ${where}ORDER BY created_at DESC, job_id DESC LIMIT ?`, [...(repository === undefined ? [] : [repository]), limit]),
    );
    return rows.map(jobOf);
  }

  /** Those that have not ended. */
  async active(): Promise<readonly StoredJob[]> {
    const rows = await this.#store.read((tx) => tx.all(`SELECT ${COLUMNS} FROM jobs WHERE state NOT IN (${ENDED}) ORDER BY created_at`));
    return rows.map(jobOf);
  }

  /** Those that have ended, and of which something is still there. */
  async leftOver(): Promise<readonly StoredJob[]> {
    const rows = await this.#store.read((tx) => tx.all(`SELECT ${COLUMNS} FROM jobs WHERE state IN (${ENDED}) AND holds <> '{}' ORDER BY created_at`));
    return rows.map(jobOf);
  }

  /** Reports of jobs that ended since then, milliseconds since the epoch. */
  async endedSince(since: number): Promise<readonly StoredJob[]> {
    const rows = await this.#store.read((tx) => tx.all(`SELECT ${COLUMNS} FROM jobs WHERE state IN (${ENDED}) AND updated_at >= ?`, [since]));
    return rows.map(jobOf);
  }

  /** By state. */
  async counts(): Promise<Readonly<Record<string, number>>> {
    const rows = await this.#store.read((tx) => tx.all("SELECT state, count(*) AS jobs FROM jobs GROUP BY state"));
    return Object.fromEntries(rows.map((row) => [String(row["state"]), Number(row["jobs"])]));
  }

  async #change(jobId: string, from: readonly JobState[], work: (tx: Transaction, job: StoredJob) => Promise<void>): Promise<void> {
    await this.#store.write(async (tx) => {
      const row = await tx.get(`SELECT ${COLUMNS} FROM jobs WHERE job_id = ?`, [jobId]);
      if (row === undefined) throw new CofferdamError("NOT_FOUND", `no job ${jobId.slice(0, 80)}`);
      const job = jobOf(row);
      if (!from.includes(job.state)) throw new CofferdamError("FAILED_PRECONDITION", `job ${jobId} is ${job.state}`);
      await work(tx, job);
    });
  }
}

function firstWords(command: readonly string[]): readonly string[] {
  let room = KEPT_COMMAND;
  const kept: string[] = [];
  for (const word of command) {
    if (room <= 0) break;
    kept.push(word.slice(0, room));
    room -= word.length + 1;
  }
  return kept;
}

export function hasEnded(state: JobState): boolean {
  return ENDS.includes(state);
}

function jobOf(row: Row): StoredJob {
  const state = JOB_STATES.find((name) => name === row["state"]);
  const holds = holdsSchema.safeParse(parseJson(row["holds"]));
  if (state === undefined || !holds.success)
    throw new CofferdamError("INTEGRITY_FAILURE", `job ${String(row["job_id"]).slice(0, 80)} in the database cannot be read`);
  return {
    jobId: String(row["job_id"]),
    repository: String(row["repository"]),
    state,
    level: String(row["level"]),
    command: wordsSchema.safeParse(parseJson(row["command"])).data ?? [String(row["command"])],
    image: String(row["image"]),
    createdAt: Number(row["created_at"]),
    updatedAt: Number(row["updated_at"]),
    owner: String(row["owner"]),
    holds: holds.data,
    report: parseJson(row["report"]),
  };
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
