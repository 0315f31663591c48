/**
 * Tables of users, roles, assignments and repositories. Columns are what is looked for; `body` is the record itself, as
 * {@link ./records.ts} reads it. Every change raises the epoch and leaves rows of what it touched, so that a process that knows
 * an older epoch reads those alone. The mark is new with every change: a database that was put back is not taken for the one
 * that had the same epoch. Built-in roles stand in no table.
 */
import type { Migration } from "../store/index.ts";

/** The room's name in the store; identity/ has a room of its own whose tables refer to rbac_users (id). */
export const RBAC_ROOM = "rbac";

export const RBAC_MIGRATIONS: readonly Migration[] = [
  {
    name: "users, roles, assignments, repositories, epoch, changes, unrecorded events",
    sql: [
      "CREATE TABLE rbac_users (id TEXT PRIMARY KEY, name_key TEXT NOT NULL UNIQUE, disabled INTEGER NOT NULL, body TEXT NOT NULL)",
      "CREATE TABLE rbac_roles (id TEXT PRIMARY KEY, name_key TEXT NOT NULL UNIQUE, body TEXT NOT NULL)",
      "CREATE TABLE rbac_assignments (id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES rbac_users (id) ON DELETE CASCADE, role_id TEXT NOT NULL, scope TEXT NOT NULL, expires_at BIGINT, body TEXT NOT NULL, UNIQUE (user_id, role_id, scope))",
      "CREATE INDEX rbac_assignments_role ON rbac_assignments (role_id)",
      "CREATE TABLE rbac_repositories (repository TEXT PRIMARY KEY, is_public INTEGER, lists_people INTEGER NOT NULL)",
      "CREATE TABLE rbac_repository_users (repository TEXT NOT NULL REFERENCES rbac_repositories (repository) ON DELETE CASCADE, user_id TEXT NOT NULL REFERENCES rbac_users (id) ON DELETE CASCADE, relation TEXT NOT NULL, PRIMARY KEY (repository, user_id))",
      "CREATE INDEX rbac_repository_users_user ON rbac_repository_users (user_id)",
      "CREATE TABLE rbac_epoch (one INTEGER PRIMARY KEY, epoch BIGINT NOT NULL, mark TEXT NOT NULL)",
      "INSERT INTO rbac_epoch (one, epoch, mark) VALUES (1, 0, '')",
      "CREATE TABLE rbac_changes (epoch BIGINT NOT NULL, mark TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, PRIMARY KEY (epoch, kind, subject))",
      "CREATE TABLE rbac_unrecorded (id TEXT PRIMARY KEY, at BIGINT NOT NULL, event TEXT NOT NULL)",
    ],
  },
];
