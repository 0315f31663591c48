/** Tables of the log. `body` holds the exact hashed bytes; the other columns exist to find events by and are checked against it. */
import type { Migration } from "../store/index.ts";

export const AUDIT_MIGRATIONS: readonly Migration[] = [
  {
    name: "events",
    sql: [
      "CREATE TABLE audit_log (one INTEGER PRIMARY KEY CHECK (one = 1), log_id TEXT NOT NULL, public_key TEXT NOT NULL)",
      `CREATE TABLE audit_events (
        seq BIGINT PRIMARY KEY, id TEXT NOT NULL UNIQUE, at BIGINT NOT NULL, category TEXT NOT NULL, action TEXT NOT NULL, result TEXT NOT NULL,
        user_id TEXT, session_id TEXT, resource_type TEXT, resource_id TEXT, body BLOB NOT NULL, leaf BLOB NOT NULL, previous BLOB NOT NULL, hash BLOB NOT NULL)`,
      "CREATE INDEX audit_events_at ON audit_events (at)",
      "CREATE INDEX audit_events_category ON audit_events (category, action, seq)",
      "CREATE INDEX audit_events_user ON audit_events (user_id, seq) WHERE user_id IS NOT NULL",
      "CREATE INDEX audit_events_resource ON audit_events (resource_id, seq) WHERE resource_id IS NOT NULL",
    ],
  },
];
