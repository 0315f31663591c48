/** `cofferdam audit ...`: one file a command or two. */
import { checkpoint, prove, recover } from "./audit-checkpoint.ts";
import { evidence } from "./audit-evidence.ts";
import { exportCommand } from "./audit-export.ts";
import { erase, hold, prune } from "./audit-retention.ts";
import { search } from "./audit-search.ts";
import { verify } from "./audit-verify.ts";
import type { CommandGroup } from "./command.ts";

export const auditCommands: CommandGroup = {
  name: "audit",
  summary: "The audit trail: what was decided and done, so that a change shows.",
  commands: [search, exportCommand, evidence, verify, checkpoint, prove, recover, prune, hold, erase],
};
