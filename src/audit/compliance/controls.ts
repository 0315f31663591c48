/**
 * Which events are evidence for which control of which standard; docs/compliance.md is this table, and a test keeps them the
 * same. Ids are the standards' own, titles are in our words: what a control asks for stands in the standard alone.
 */
import { gdpr } from "./gdpr.ts";
import { hipaa } from "./hipaa.ts";
import { iso27001 } from "./iso27001.ts";
import { pcidss } from "./pcidss.ts";
import { soc2 } from "./soc2.ts";

export const STANDARDS = ["soc2", "iso27001", "pcidss", "hipaa", "gdpr"] as const;
export type Standard = (typeof STANDARDS)[number];

export interface StandardTable {
  /** Name and edition. */
  readonly name: string;
  readonly controls: readonly Control[];
}

export interface Control {
  readonly id: string;
  readonly title: string;
  /** `category/action`; `category/*` is every action of a category, `*` every event. */
  readonly evidence: readonly string[];
  /** What the control asks for that these events do not show. Never empty: no control is met by a log alone. */
  readonly notCovered: string;
}

export const CONTROLS: Readonly<Record<Standard, StandardTable>> = { soc2, iso27001, pcidss, hipaa, gdpr };

/** Whether an event is evidence for a control. */
export function isEvidence(control: Control, category: string, action: string): boolean {
  return control.evidence.some((kind) => kind === "*" || kind === `${category}/*` || kind === `${category}/${action}`);
}
