/** What a job tried to reach and was not to, as an OCSF detection finding: the first attempt of each kind is an event. */
import type { JsonObject } from "../../foundation/index.ts";
import { textOf } from "../facts.ts";
import { DETECTION } from "./classes.ts";
import { type Mapped, ocsfRecord } from "./record.ts";

export function networkFinding(mapped: Mapped): JsonObject {
  const { event, facts } = mapped;
  const { reason, message } = facts.details;
  return ocsfRecord(mapped, {
    class: DETECTION,
    activity: [1, "Create"],
    severity: "low",
    message: textOf(message) ?? "a destination that is not allowed",
    status: [1, "New"],
    more: {
      finding_info: { uid: event.id, title: textOf(reason) ?? "not allowed" },
      resources: event.sessionId === undefined ? undefined : [{ name: event.sessionId, type: "job" }],
    },
  });
}
