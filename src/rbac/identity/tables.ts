/**
 * Tables of identity. Of whatever opens something (password, token, session id, recovery code) only a hash stands here; the
 * secrets of second factors, which must be readable, are sealed with a key outside of the database ({@link ./sealing.ts}).
 * What belongs to a user or a token goes with it. Times are ms since 1970 by {@link ./identity-clock.ts}.
 */
import type { Migration } from "../../store/index.ts";

export const IDENTITY_ROOM = "identity";

export const IDENTITY_MIGRATIONS: readonly Migration[] = [
  {
    name: "clock, passwords, second factors, tokens, sessions, set-up, guesses, used job tokens",
    sql: [
      "CREATE TABLE identity_clock (one INTEGER PRIMARY KEY CHECK (one = 1), mark BIGINT NOT NULL, boot TEXT NOT NULL, uptime BIGINT NOT NULL)",
      "CREATE TABLE identity_passwords (user_id TEXT PRIMARY KEY REFERENCES rbac_users (id) ON DELETE CASCADE, hash TEXT NOT NULL, changed_at BIGINT NOT NULL)",
      "CREATE TABLE identity_totp (user_id TEXT PRIMARY KEY REFERENCES rbac_users (id) ON DELETE CASCADE, sealed TEXT NOT NULL, active INTEGER NOT NULL, last_step BIGINT NOT NULL, since BIGINT NOT NULL)",
      "CREATE TABLE identity_recovery_codes (user_id TEXT NOT NULL REFERENCES rbac_users (id) ON DELETE CASCADE, hash TEXT NOT NULL, PRIMARY KEY (user_id, hash))",
      "CREATE TABLE identity_tokens (id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL REFERENCES rbac_users (id) ON DELETE CASCADE, name TEXT NOT NULL, scope TEXT NOT NULL, created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, used_at BIGINT)",
      "CREATE INDEX identity_tokens_user ON identity_tokens (user_id)",
      "CREATE TABLE identity_sessions (id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL REFERENCES rbac_users (id) ON DELETE CASCADE, method TEXT NOT NULL, mfa INTEGER NOT NULL, scope TEXT NOT NULL, token_id TEXT REFERENCES identity_tokens (id) ON DELETE CASCADE, vouched_by TEXT, ip TEXT, user_agent TEXT, created_at BIGINT NOT NULL, seen_at BIGINT NOT NULL, idle BIGINT NOT NULL, expires_at BIGINT NOT NULL)",
      "CREATE INDEX identity_sessions_user ON identity_sessions (user_id, created_at)",
      "CREATE INDEX identity_sessions_end ON identity_sessions (expires_at)",
      "CREATE TABLE identity_setup (hash TEXT PRIMARY KEY, name TEXT, expires_at BIGINT NOT NULL)",
      "CREATE TABLE identity_guesses (kind TEXT NOT NULL, key TEXT NOT NULL, failures BIGINT NOT NULL, last_at BIGINT NOT NULL, until BIGINT NOT NULL, PRIMARY KEY (kind, key))",
      "CREATE INDEX identity_guesses_age ON identity_guesses (kind, last_at)",
      "CREATE TABLE identity_addresses (account TEXT NOT NULL, address TEXT NOT NULL, seen_at BIGINT NOT NULL, PRIMARY KEY (account, address))",
      "CREATE TABLE identity_used_jtis (hash TEXT PRIMARY KEY, expires_at BIGINT NOT NULL)",
      "CREATE INDEX identity_used_jtis_end ON identity_used_jtis (expires_at)",
    ],
  },
];
