/** What the policy says of the audit trail, as options of the log: how often it is signed, and where checkpoints go. */
import type { AuditLoggerOptions } from "../../audit/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";

export function checkpointOptions({ values }: EffectivePolicy): NonNullable<AuditLoggerOptions["checkpoint"]> {
  return {
    events: values["audit.checkpoint.events"],
    interval: values["audit.checkpoint.interval"],
    copies: values["audit.copy"],
    witnesses: values["audit.witnesses"],
  };
}
