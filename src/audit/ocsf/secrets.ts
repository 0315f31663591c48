/** Secrets that were stored, given to jobs, shown, rotated and destroyed, and their key, as OCSF activities. */
import type { JsonObject } from "../../foundation/index.ts";
import { textOf } from "../facts.ts";
import { messageOf } from "./activities.ts";
import { type Activity, activityOf, ENTITY, type OcsfSeverity } from "./classes.ts";
import { type Mapped, ocsfRecord } from "./record.ts";

const ACTIVITIES: Readonly<Record<string, Activity>> = {
  SecretRetrieved: [2, "Read"],
  SecretCanaryRead: [2, "Read"],
  SecretRevealed: [2, "Read"],
  SecretRotated: [3, "Update"],
  SecretDeleted: [4, "Delete"],
  SecretKeyBackedUp: [2, "Read"],
  SecretKeyRestored: [1, "Create"],
  SecretKeyChanged: [3, "Update"],
  SecretKeyProtected: [3, "Update"],
  SecretStoreRecovered: [3, "Update"],
};

/** What everybody who watches should look at, although it went well. */
const SEVERITIES: Readonly<Record<string, OcsfSeverity>> = {
  SecretCanaryRead: "high",
  SecretRevealed: "low",
  SecretKeyBackedUp: "medium",
  SecretKeyRestored: "medium",
  SecretStoreRecovered: "medium",
};

export function secret(mapped: Mapped): JsonObject {
  const { event, facts } = mapped;
  const { details } = facts;
  const refused = event.result === "failure";
  return ocsfRecord(mapped, {
    class: ENTITY,
    activity: secretActivity(mapped),
    severity: (Object.hasOwn(SEVERITIES, event.action) ? SEVERITIES[event.action] : undefined) ?? (refused ? "medium" : "informational"),
    message: messageOf(mapped),
    more: {
      entity: { name: event.resourceId ?? "secrets", type_id: 99, type: event.resourceId === undefined ? "secret store" : "secret" },
      status_detail: [textOf(details["code"]), textOf(details["reason"])].filter((text) => text !== undefined && text !== "").join(": ") || undefined,
    },
  });
}

function secretActivity({ event, facts }: Mapped): Activity {
  if (event.action === "SecretStored") return facts.details["replaced"] === 0 ? [1, "Create"] : [3, "Update"];
  return activityOf(ACTIVITIES, event.action);
}
