/**
 * Another policy, asked what was decided before: which decisions of the trail would be others. What was asked stands in the
 * events; both policies, the one in force and the proposed one, answer as of the time of the question.
 */
import { z } from "zod";
import { type Checker, isAllowed } from "../checker.ts";
import { questionOf } from "../conditions/question.ts";
import type { DecisionReason } from "../contract.ts";
import { CATEGORY } from "../trail.ts";
import type { PolicyDifference } from "./plan.ts";

/** An event as it is read again. */
export interface DecisionEvent {
  readonly seq: number;
  readonly timestamp: string;
  readonly action: string;
  readonly userId?: string | undefined;
  readonly resourceId?: string | undefined;
  readonly details?: object | undefined;
  readonly personal?: { readonly key: string; readonly sealed: string } | undefined;
}

/** AuditLogger is one. */
export interface DecisionTrail {
  searchPage(query: { readonly category: string; readonly startDate: Date; readonly limit: number; readonly after: number | undefined }): Promise<{
    readonly events: readonly DecisionEvent[];
    readonly next?: number | undefined;
  }>;
  personalData(event: DecisionEvent): Promise<object | undefined>;
}

/** A decision that would be another one. */
export interface ChangedDecision {
  /** Of the audit event. */
  readonly seq: number;
  readonly at: string;
  readonly userId: string;
  readonly permission: string;
  readonly repository?: string | undefined;
  /** Decisions like it that the event stands for. */
  readonly count: number;
  /** What was recorded; the policy in force may say otherwise by now. */
  readonly recorded: boolean;
  readonly before: DecisionReason;
  readonly after: DecisionReason;
}

export interface DryRun {
  readonly difference: PolicyDifference;
  /** Decisions that were asked again, each counted as often as its event says. */
  readonly decisions: number;
  /** Events that could not be: without a user who could be asked about, with a token, of what was to be given away, or about ownership that was not recorded. */
  readonly notAsked: number;
  /** Decisions that would be others. */
  readonly changed: number;
  /** The first of them, at most 1000. */
  readonly examples: readonly ChangedDecision[];
}

const PAGE = 1000;
const EXAMPLES = 1000;

const detailsSchema = z.object({
  reason: z.string().optional(),
  represents: z.int().optional(),
  coalesced: z.object({ count: z.int() }).optional(),
  first: z.unknown().optional(),
  asked: z
    .object({
      at: z.iso.datetime(),
      repository: z.string().optional(),
      organisation: z.string().optional(),
      environment: z.string().optional(),
      mfa: z.boolean().optional(),
      facts: z.object({ owned: z.boolean().optional(), assigned: z.boolean().optional(), public: z.boolean().optional() }).optional(),
      limited: z.boolean().optional(),
    })
    .optional(),
});
const personalSchema = z.object({ ipAddress: z.string().optional() });

/** @param since the earliest decision that counts. */
export async function dryRun(
  policies: { readonly current: Checker; readonly proposed: Checker },
  trail: DecisionTrail,
  since: Date,
): Promise<Omit<DryRun, "difference">> {
  let [decisions, notAsked, changed] = [0, 0, 0];
  const examples: ChangedDecision[] = [];
  for (let after: number | undefined; ; ) {
    const page = await trail.searchPage({ category: CATEGORY, startDate: since, limit: PAGE, after });
    for (const event of page.events) {
      if (event.action !== "permission_denied" && event.action !== "permission_granted") continue;
      const again = await askAgain(policies, trail, event);
      if (again === undefined) {
        notAsked += 1;
        continue;
      }
      decisions += again.count;
      if (isAllowed(again.before) === isAllowed(again.after)) continue;
      changed += again.count;
      if (examples.length < EXAMPLES) examples.push(again);
    }
    if (page.next === undefined) return { decisions, notAsked, changed, examples };
    after = page.next;
  }
}

async function askAgain(
  { current, proposed }: { readonly current: Checker; readonly proposed: Checker },
  trail: DecisionTrail,
  event: DecisionEvent,
): Promise<ChangedDecision | undefined> {
  const details = detailsSchema.safeParse(event.details ?? {});
  const first = details.data?.coalesced === undefined ? details : detailsSchema.safeParse(details.data.first);
  const asked = first.data?.asked;
  const { userId, resourceId: permission = firstPermission(event), seq } = event;
  if (asked === undefined || asked.limited === true || first.data?.reason === "lacking" || userId === undefined || permission === undefined) return undefined;
  const personal = event.personal === undefined ? undefined : personalSchema.safeParse(await trail.personalData(event));
  const { at, repository, organisation, environment, mfa, facts } = asked;
  const context = { repository, organisation, environment, ipAddress: personal?.data?.ipAddress };
  const question = questionOf(context, { now: Date.parse(at), mfa, facts });
  if (question === undefined || (facts === undefined && repository !== undefined && proposed.needsFacts(userId, permission))) return undefined;
  return {
    ...{ seq, at, userId, permission, repository },
    count: details.data?.coalesced?.count ?? details.data?.represents ?? 1,
    recorded: event.action === "permission_granted",
    before: current.decide(userId, permission, question),
    after: proposed.decide(userId, permission, question),
  };
}

/** One event that stands for many names the permissions of all. */
function firstPermission({ details }: DecisionEvent): string | undefined {
  const parsed = z.object({ coalesced: z.object({ resources: z.array(z.string()) }) }).safeParse(details);
  return parsed.data?.coalesced.resources.length === 1 ? parsed.data.coalesced.resources[0] : undefined;
}
