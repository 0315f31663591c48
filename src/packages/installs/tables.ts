/** Tables of recorded installs. A set of packages is stored once, however many installs left it on a disk. */
import type { Migration } from "../../store/index.ts";

export const MIGRATIONS: readonly Migration[] = [
  {
    name: "installs",
    sql: [
      "CREATE TABLE install_sets (digest TEXT PRIMARY KEY, size BIGINT NOT NULL)",
      // Integrity is empty where the lockfile names none, so that it can be part of the key.
      `CREATE TABLE install_set_packages (
         set_digest TEXT NOT NULL REFERENCES install_sets (digest), name TEXT NOT NULL, version TEXT NOT NULL, integrity TEXT NOT NULL,
         PRIMARY KEY (set_digest, name, version, integrity))`,
      "CREATE INDEX install_set_packages_by_name ON install_set_packages (name, version)",
      `CREATE TABLE installs (
         run_id TEXT PRIMARY KEY, project TEXT NOT NULL, at BIGINT NOT NULL, command TEXT NOT NULL, level TEXT NOT NULL,
         decision TEXT NOT NULL, code TEXT, on_disk BIGINT NOT NULL, policy TEXT NOT NULL, first_seq BIGINT, last_seq BIGINT,
         set_digest TEXT NOT NULL REFERENCES install_sets (digest))`,
      "CREATE INDEX installs_by_time ON installs (at, run_id)",
      "CREATE INDEX installs_by_set ON installs (set_digest, at)",
      `CREATE TABLE install_scripts (
         run_id TEXT NOT NULL REFERENCES installs (run_id), position BIGINT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
         event TEXT NOT NULL, ran BIGINT NOT NULL, why TEXT NOT NULL, exit BIGINT, killed_by TEXT,
         refused_count BIGINT NOT NULL, refused TEXT NOT NULL, reached TEXT NOT NULL, PRIMARY KEY (run_id, position))`,
    ],
  },
];
