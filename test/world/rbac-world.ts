/** An RBACSystem on a store and a real audit log, and what was recorded. */
import { join } from "node:path";
import { type AuditEvent, AuditLogger } from "../../src/audit/index.ts";
import type { Clock, TrailEvent } from "../../src/foundation/index.ts";
import { type AuditTrail, type RBACOptions, RBACSystem } from "../../src/rbac/index.ts";
import { SqliteStore } from "../../src/store/index.ts";

export interface RbacWorld extends AsyncDisposable {
  readonly rbac: RBACSystem;
  readonly audit: AuditLogger;
  readonly store: SqliteStore;
  /** What was recorded of authorization, oldest first. */
  events(action?: string): Promise<readonly AuditEvent[]>;
}

/** @param directory of its state; in memory without. */
export async function rbacWorld(options: RBACOptions = {}, directory?: string): Promise<RbacWorld> {
  const store = new SqliteStore({ path: directory === undefined ? undefined : join(directory, "cofferdam.db") });
  const audit = new AuditLogger({ store, storage: { directory } });
  await audit.initialize();
  const rbac = new RBACSystem(audit, { store, storage: { directory }, ...options });
  await rbac.initialize();
  return {
    rbac,
    audit,
    store,
    events: (action) => audit.search({ category: "authorization", action, limit: 1000 }),
    [Symbol.asyncDispose]: async () => {
      await rbac.close();
      await audit.close();
      await store.close();
    },
  };
}

/** A trail that only remembers: for what is not about the record. */
export function silentTrail(): AuditTrail & { readonly events: TrailEvent[] } {
  const events: TrailEvent[] = [];
  return {
    events,
    log: async (event) => void events.push(event),
    denied: async (event) => void events.push({ ...event, result: "failure" }),
  };
}

/** A clock that stands until it is set. */
export function handClock(start: number): Clock & { set(now: number): void } {
  let now = start;
  const set = (to: number): void => {
    now = to;
  };
  return { now: () => now, monotonic: () => now, set };
}
