/** Logins, accounts, roles, and who was let do what, as OCSF activities. */
import type { JsonObject, JsonValue } from "../../foundation/index.ts";
import { objectOf, textOf } from "../facts.ts";
import { messageOf } from "./activities.ts";
import { ACCOUNT, type Activity, ALLOWED, AUTHENTICATION, activityOf, BASE_EVENT, BLOCKED, ENTITY, type OcsfSeverity, USER_ACCESS } from "./classes.ts";
import { type Mapped, ocsfRecord } from "./record.ts";

const LOGINS: Readonly<Record<string, Activity>> = {
  login: [1, "Logon"],
  token_used: [1, "Logon"],
  token_refused: [1, "Logon"],
  job_token_accepted: [1, "Logon"],
  job_token_refused: [1, "Logon"],
  session_ended: [2, "Logoff"],
};

/** A password, a token or a job's token was shown; a session began or ended. */
export function login(mapped: Mapped): JsonObject {
  const { event, facts } = mapped;
  const { mfa, reason } = facts.details;
  return ocsfRecord(mapped, {
    class: AUTHENTICATION,
    activity: activityOf(LOGINS, event.action),
    severity: severityOf(mapped, "medium"),
    message: messageOf(mapped),
    control: event.result === "failure" ? BLOCKED : undefined,
    more: {
      // Who shows nothing that is known has no name.
      user: userOf(event.userId ?? textOf(facts.details["repository"]) ?? "unknown"),
      service: { name: "cofferdam" },
      ...(event.sessionId === undefined ? {} : { session: { uid: event.sessionId } }),
      ...(typeof mfa === "boolean" ? { is_mfa: mfa } : {}),
      ...(event.action.startsWith("job_token_") ? { auth_protocol_id: 4, auth_protocol: "OpenID" } : {}),
      status_detail: textOf(reason),
    },
  });
}

const ACCOUNTS: Readonly<Record<string, Activity>> = {
  user_created: [1, "Create"],
  user_deleted: [6, "Delete"],
  account_recovered: [4, "Password Reset"],
  second_factor_confirmed: [10, "MFA Factor Enable"],
  second_factor_removed: [11, "MFA Factor Disable"],
};

/** An account, or what lets somebody in. */
export function account(mapped: Mapped): JsonObject {
  const { event, facts } = mapped;
  return ocsfRecord(mapped, {
    class: ACCOUNT,
    activity: accountActivity(mapped),
    severity: event.action === "account_recovered" || event.action === "set_up" ? "medium" : severityOf(mapped, "medium"),
    message: messageOf(mapped),
    control: event.result === "failure" ? BLOCKED : undefined,
    more: { user: userOf(event.resourceId ?? event.userId ?? "unknown"), status_detail: textOf(facts.details["reason"]) },
  });
}

/** A password that somebody else sets is reset. */
function accountActivity({ event, facts }: Mapped): Activity {
  if (event.action === "password_set") return event.userId !== undefined && event.userId === event.resourceId ? [3, "Password Change"] : [4, "Password Reset"];
  const [before, after] = [objectOf(facts.details["before"])?.["disabled"], objectOf(facts.details["after"])?.["disabled"]];
  if (event.action === "user_updated" && typeof after === "boolean" && before !== after) return after ? [5, "Disable"] : [2, "Enable"];
  return activityOf(ACCOUNTS, event.action);
}

/** A role was given to somebody, or taken away. */
export function access(mapped: Mapped): JsonObject {
  const { event, facts } = mapped;
  const given = event.action === "role_assigned";
  const role = textOf(objectOf(facts.details[given ? "after" : "before"])?.["role"]);
  return ocsfRecord(mapped, {
    class: USER_ACCESS,
    activity: given ? [1, "Assign Privileges"] : [2, "Revoke Privileges"],
    severity: severityOf(mapped, "medium"),
    message: `${messageOf(mapped)}${role === undefined ? "" : `, role ${role}`}`,
    more: { user: userOf(event.resourceId ?? "unknown"), privileges: role === undefined ? [] : [`role ${role}`] },
  });
}

const ROLES: Readonly<Record<string, Activity>> = { role_created: [1, "Create"], role_deleted: [4, "Delete"] };

/** Roles, and what they hang on. */
export function role(mapped: Mapped): JsonObject {
  const { event } = mapped;
  const what = event.resourceType ?? "policy";
  return ocsfRecord(mapped, {
    class: ENTITY,
    activity: activityOf(ROLES, event.action, [3, "Update"]),
    severity: severityOf(mapped, "medium"),
    message: messageOf(mapped),
    more: {
      entity: { name: event.resourceId ?? what, ...(what === "role" || what === "policy" ? { type_id: 5, type: "Policy" } : { type_id: 99, type: what }) },
    },
  });
}

/** OCSF has no class for a question of "may they"; what the control said is in its profile. */
export function permission(mapped: Mapped): JsonObject {
  const { event, facts } = mapped;
  return ocsfRecord(mapped, {
    class: BASE_EVENT,
    activity: [99, event.action],
    severity: severityOf(mapped, "low"),
    message: messageOf(mapped),
    control: event.result === "success" ? ALLOWED : BLOCKED,
    more: { status_detail: textOf(facts.details["reason"]) },
  });
}

function severityOf({ event }: Mapped, failure: OcsfSeverity): OcsfSeverity {
  return event.result === "success" ? "informational" : failure;
}

function userOf(uid: string): Readonly<Record<string, JsonValue>> {
  return { uid, type_id: 0, type: "Unknown" };
}
