/**
 * Tables of the log. `body` holds the exact hashed text, and every column that events are found by is computed from it by
 * the database: there is nothing to edit that could hide an event and leave its hash right. (What an index holds, and
 * whether the tables are still these, is verified: schema-check.ts.) Every index ends with the row's number, which is seq.
 *
 * An event whose body is gone (retention) keeps its leaf and its chain hash; `pruned` names the event that says so.
 */
import type { Migration } from "../store/index.ts";

const computed = (column: string, member: string): string => `${column} TEXT GENERATED ALWAYS AS (body ->> '${member}') VIRTUAL`;

export const AUDIT_MIGRATIONS: readonly Migration[] = [
  {
    name: "events, tree, checkpoints",
    sql: [
      "CREATE TABLE audit_log (one INTEGER PRIMARY KEY CHECK (one = 1), log_id TEXT NOT NULL, public_key TEXT NOT NULL)",
      `CREATE TABLE audit_events (seq INTEGER PRIMARY KEY, body TEXT, leaf BLOB NOT NULL, hash BLOB NOT NULL, pruned BIGINT, ${[
        computed("id", "id"),
        computed("timestamp", "timestamp"),
        computed("category", "category"),
        computed("action", "action"),
        computed("result", "result"),
        computed("user_id", "userId"),
        computed("session_id", "sessionId"),
        computed("resource_type", "resourceType"),
        computed("resource_id", "resourceId"),
      ].join(", ")})`,
      "CREATE UNIQUE INDEX audit_events_id ON audit_events (id)",
      "CREATE INDEX audit_events_category ON audit_events (category)",
      "CREATE INDEX audit_events_action ON audit_events (action)",
      "CREATE INDEX audit_events_failure ON audit_events (seq) WHERE result = 'failure'",
      "CREATE INDEX audit_events_user ON audit_events (user_id) WHERE user_id IS NOT NULL",
      "CREATE INDEX audit_events_session ON audit_events (session_id) WHERE session_id IS NOT NULL",
      "CREATE INDEX audit_events_resource ON audit_events (resource_id) WHERE resource_id IS NOT NULL",
      "CREATE TABLE audit_nodes (level INTEGER NOT NULL, idx BIGINT NOT NULL, hash BLOB NOT NULL, low TEXT NOT NULL, high TEXT NOT NULL, PRIMARY KEY (level, idx))",
      // Keys of persons, for their erasable data; an erased one keeps its id alone.
      "CREATE TABLE audit_subjects (id TEXT PRIMARY KEY, subject TEXT, key BLOB, erased BIGINT)",
      "CREATE UNIQUE INDEX audit_subjects_subject ON audit_subjects (subject) WHERE subject IS NOT NULL",
      "CREATE TABLE audit_checkpoints (size BIGINT PRIMARY KEY, root BLOB NOT NULL, note TEXT NOT NULL, made_at TEXT NOT NULL)",
    ],
  },
];
