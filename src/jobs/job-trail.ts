/** What jobs need of the audit trail, and how much of it can be relied on now. */
import type { AuditEvent, AuditPage, AuditQuery, GuardedTrail, VerifyReport } from "../audit/index.ts";
import type { TrailState } from "./score/job-evidence.ts";

/** AuditLogger is one. */
export interface JobTrail extends GuardedTrail {
  verifyIntegrity(startDate?: Date | string, endDate?: Date | string): Promise<VerifyReport>;
  searchPage(query?: AuditQuery): Promise<AuditPage>;
  /** Of a time, ms; see `AuditLogger.ageOf`. */
  ageOf(time: number): Promise<number>;
  /** A legal hold on the records of a job. */
  holdOn(sessionId: string): Promise<{ readonly id: string } | undefined>;
}

/** Whether the records since then hold. One that cannot be looked at does not. */
export async function verifiedSince(trail: JobTrail, since: string): Promise<{ readonly verified: boolean; readonly anchored: boolean }> {
  try {
    const { failed, verified, anchored } = await trail.verifyIntegrity(since);
    return { verified: failed === 0 && verified > 0, anchored };
  } catch {
    return { verified: false, anchored: false };
  }
}

/** The whole trail: up to where it holds, and up to where a place outside of this host has it. */
export async function trailState(trail: JobTrail): Promise<TrailState & { readonly whole: boolean }> {
  const { failed, sound } = await trail.verifyIntegrity();
  const sizes = (await trail.deliveries()).flatMap(({ lastSuccess }) => (lastSuccess === undefined ? [] : [lastSuccess.size]));
  return {
    whole: failed === 0,
    verifiedTo: sound?.to,
    // What a place has counts as far as the trail still agrees with itself.
    anchoredTo: sizes.length === 0 || sound === undefined ? undefined : Math.min(sound.to, Math.max(...sizes)),
  };
}

const PAGE = 1000;

/** Events of one category since then, oldest first, page by page. */
export async function* eventsSince(trail: JobTrail, query: Pick<AuditQuery, "category" | "startDate">): AsyncGenerator<AuditEvent> {
  for (let after: number | undefined; ; ) {
    const page = await trail.searchPage({ ...query, limit: PAGE, after });
    yield* page.events;
    if (page.next === undefined) return;
    after = page.next;
  }
}
