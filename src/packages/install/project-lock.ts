/**
 * One guarded install per project at a time. The record names its process by pid and start time, so that a record left by
 * kill -9 is recognised and taken over, and what was interrupted is known and can be repaired.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { z } from "zod";
import { type Clock, CofferdamError } from "../../foundation/index.ts";
import { Facts, type Store } from "../../store/index.ts";

/** How far a run got. From `client` on, the project's tree may be half-written. */
export type InstallPhase = "judge" | "fetch" | "client" | "compare" | "scripts";

/** What an earlier run left behind when it was killed. */
export interface Interrupted {
  readonly run: string;
  readonly phase: InstallPhase;
}

interface LockRecord {
  readonly pid: number;
  readonly start: string;
  readonly run: string;
  readonly project: string;
  readonly phase: InstallPhase;
}

const recordSchema: z.ZodType<LockRecord> = z.strictObject({
  pid: z.int().positive(),
  start: z.string(),
  run: z.string().regex(/^run_[0-9a-z]{26}$/),
  project: z.string(),
  phase: z.enum(["judge", "fetch", "client", "compare", "scripts"]),
});

export class ProjectLock {
  readonly #facts: Facts;
  readonly #key: string;
  readonly #record: LockRecord;
  readonly #clock: Clock;
  /** Set when this lock was taken over from a run that did not end. */
  readonly interrupted: Interrupted | undefined;

  private constructor(facts: Facts, key: string, record: LockRecord, clock: Clock, interrupted: Interrupted | undefined) {
    this.#facts = facts;
    this.#key = key;
    this.#record = record;
    this.#clock = clock;
    this.interrupted = interrupted;
  }

  /** Takes the lock of a project or throws CONFLICT naming the process that holds it. */
  static async take(store: Store, project: string, run: string, clock: Clock): Promise<ProjectLock> {
    const facts = new Facts(store, "install-lock");
    await facts.initialize();
    const key = createHash("sha256").update(project).digest("hex");
    const record: LockRecord = { pid: process.pid, start: processStart(process.pid) ?? "", run, project, phase: "judge" };
    const interrupted = await facts.update(key, clock.now(), (before) => {
      const holder = before === undefined ? undefined : recordSchema.parse(JSON.parse(before));
      if (holder !== undefined && processStart(holder.pid) === holder.start) {
        throw new CofferdamError("CONFLICT", `another install of this project is running (process ${holder.pid})`, { details: { pid: holder.pid, project } });
      }
      return { after: JSON.stringify(record), result: holder === undefined ? undefined : { run: holder.run, phase: holder.phase } };
    });
    return new ProjectLock(facts, key, record, clock, interrupted);
  }

  /** Records how far the run is; what a killed run needs to have repaired follows from it. */
  async enter(phase: InstallPhase): Promise<void> {
    await this.#facts.put(this.#key, JSON.stringify({ ...this.#record, phase }), this.#clock.now());
  }

  async release(): Promise<void> {
    await this.#facts.update(this.#key, this.#clock.now(), () => ({ after: undefined, result: undefined }));
  }
}

/** Start time of a process in clock ticks since boot, with the boot's id; undefined when there is no such process. */
export function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command may hold spaces and parentheses; fields are counted after the last ")". Start time is field 22.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${fields[19] ?? ""}`;
  } catch {
    return undefined;
  }
}
