/**
 * Tables of the quotas. A job has one row: `held` (its reservation counts) or `waiting` (it has a place in the queue). cpu is
 * in thousandths of a core, sizes in bytes. `body` is what {@link ./allocation.ts} reads; the columns are what admission adds up.
 */
import type { Migration } from "../store/index.ts";

export const QUOTA_MIGRATIONS: readonly Migration[] = [
  {
    name: "pools, owners, jobs, workspaces, violations",
    sql: [
      "CREATE TABLE quota_pools (host TEXT PRIMARY KEY, cpu BIGINT NOT NULL, memory BIGINT NOT NULL, disk BIGINT NOT NULL)",
      "CREATE TABLE quota_owners (id TEXT PRIMARY KEY, host TEXT NOT NULL, boot TEXT NOT NULL, pid_namespace TEXT NOT NULL, pid BIGINT NOT NULL, started TEXT NOT NULL, heartbeat BIGINT NOT NULL)",
      "CREATE TABLE quota_jobs (job_id TEXT PRIMARY KEY, host TEXT NOT NULL, state TEXT NOT NULL, priority INTEGER NOT NULL, seq BIGINT NOT NULL, owner TEXT NOT NULL, cpu BIGINT NOT NULL, memory BIGINT NOT NULL, disk BIGINT NOT NULL, since BIGINT NOT NULL, body TEXT NOT NULL)",
      "CREATE INDEX quota_jobs_queue ON quota_jobs (host, state, priority, seq, cpu, memory, disk)",
      "CREATE INDEX quota_jobs_seq ON quota_jobs (seq)",
      "CREATE TABLE quota_targets (job_id TEXT PRIMARY KEY, boot TEXT NOT NULL, pid BIGINT NOT NULL, started TEXT NOT NULL, container TEXT, body TEXT NOT NULL)",
      "CREATE TABLE quota_workspaces (job_id TEXT PRIMARY KEY, host TEXT NOT NULL, owner TEXT NOT NULL, folder TEXT NOT NULL, bytes BIGINT NOT NULL)",
      "CREATE TABLE quota_violations (seq BIGINT PRIMARY KEY, job_id TEXT NOT NULL, resource TEXT NOT NULL, kind TEXT NOT NULL, times BIGINT NOT NULL, at BIGINT NOT NULL)",
      "CREATE INDEX quota_violations_job ON quota_violations (job_id)",
    ],
  },
];
