/** The last violations, on record, for whoever asks later. */
import type { Store } from "../store/index.ts";
import type { QuotaViolation } from "./events.ts";

/** Rows kept; older ones go. */
const KEPT = 1000;

export interface RecordedViolation {
  readonly jobId: string;
  readonly resource: string;
  readonly kind: string;
  readonly times: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export async function recordViolation(store: Store, { jobId, resource, kind, times }: QuotaViolation, at: number): Promise<void> {
  await store.write(async (tx) => {
    const last = await tx.get("SELECT max(seq) AS seq FROM quota_violations");
    const seq = Number(last?.["seq"] ?? 0) + 1;
    await tx.run("INSERT INTO quota_violations (seq, job_id, resource, kind, times, at) VALUES (?, ?, ?, ?, ?, ?)", [seq, jobId, resource, kind, times, at]);
    await tx.run("DELETE FROM quota_violations WHERE seq <= ?", [seq - KEPT]);
  });
}

/** Newest first. */
export async function lastViolations(store: Store, limit: number): Promise<readonly RecordedViolation[]> {
  const rows = await store.read((tx) => tx.all("SELECT * FROM quota_violations ORDER BY seq DESC LIMIT ?", [limit]));
  return rows.map((row) => ({
    jobId: String(row["job_id"]),
    resource: String(row["resource"]),
    kind: String(row["kind"]),
    times: Number(row["times"]),
    at: Number(row["at"]),
  }));
}
