/** The classes of OCSF 1.8.0 (schema.ocsf.io) that our events become, and the parts of its vocabulary that they use. */

export const OCSF_VERSION = "1.8.0";

export interface OcsfClass {
  readonly uid: number;
  readonly name: string;
  readonly category: number;
  readonly categoryName: string;
}

export const BASE_EVENT: OcsfClass = { uid: 0, name: "Base Event", category: 0, categoryName: "Uncategorized" };
export const PROCESS: OcsfClass = { uid: 1007, name: "Process Activity", category: 1, categoryName: "System Activity" };
export const EVENT_LOG: OcsfClass = { uid: 1008, name: "Event Log Activity", category: 1, categoryName: "System Activity" };
export const SCRIPT: OcsfClass = { uid: 1009, name: "Script Activity", category: 1, categoryName: "System Activity" };
export const VULNERABILITY: OcsfClass = { uid: 2002, name: "Vulnerability Finding", category: 2, categoryName: "Findings" };
export const DETECTION: OcsfClass = { uid: 2004, name: "Detection Finding", category: 2, categoryName: "Findings" };
export const ACCOUNT: OcsfClass = { uid: 3001, name: "Account Change", category: 3, categoryName: "Identity & Access Management" };
export const AUTHENTICATION: OcsfClass = { uid: 3002, name: "Authentication", category: 3, categoryName: "Identity & Access Management" };
export const USER_ACCESS: OcsfClass = { uid: 3005, name: "User Access Management", category: 3, categoryName: "Identity & Access Management" };
export const ENTITY: OcsfClass = { uid: 3004, name: "Entity Management", category: 3, categoryName: "Identity & Access Management" };
export const APPLICATION: OcsfClass = { uid: 6002, name: "Application Lifecycle", category: 6, categoryName: "Application Activity" };
export const SCAN: OcsfClass = { uid: 6007, name: "Scan Activity", category: 6, categoryName: "Application Activity" };

/** An activity of a class: its id and caption. Id 99 is "Other", with a name of our own. */
export type Activity = readonly [number, string];

/** The one that a table has for an action, or `other`. */
export function activityOf(table: Readonly<Record<string, Activity>>, action: string, other: Activity = [99, action]): Activity {
  return (Object.hasOwn(table, action) ? table[action] : undefined) ?? other;
}

export const SEVERITIES = {
  unknown: [0, "Unknown"],
  informational: [1, "Informational"],
  low: [2, "Low"],
  medium: [3, "Medium"],
  high: [4, "High"],
  critical: [5, "Critical"],
} as const;
export type OcsfSeverity = keyof typeof SEVERITIES;

/** What a control did: action_id and disposition_id of the security_control profile, with their captions. */
export interface Control {
  readonly action: readonly [number, string];
  readonly disposition: readonly [number, string];
}
export const ALLOWED: Control = { action: [1, "Allowed"], disposition: [1, "Allowed"] };
export const ACCEPTED: Control = { action: [1, "Allowed"], disposition: [8, "Approved"] };
export const LOGGED: Control = { action: [1, "Allowed"], disposition: [17, "Logged"] };
export const DETECTED: Control = { action: [1, "Allowed"], disposition: [15, "Detected"] };
export const OBSERVED: Control = { action: [3, "Observed"], disposition: [15, "Detected"] };
export const BLOCKED: Control = { action: [2, "Denied"], disposition: [2, "Blocked"] };
export const FAILED: Control = { action: [0, "Unknown"], disposition: [27, "Error"] };
