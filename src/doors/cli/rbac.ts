/** `cofferdam rbac ...`: users, roles, who may what and why, tokens, sessions. */
import type { CommandTree } from "./command.ts";
import { assignCommand, unassignCommand } from "./rbac-assign.ts";
import { checkCommand, explainCommand } from "./rbac-check.ts";
import { policyCommands } from "./rbac-policy.ts";
import { repositoryCommands } from "./rbac-repository.ts";
import { roleCommands } from "./rbac-role.ts";
import { loginCommand, sessionCommands } from "./rbac-sessions.ts";
import { recoverCommand, resetClockCommand, setupCommand } from "./rbac-setup.ts";
import { tokenCommands } from "./rbac-token.ts";
import { userCommands } from "./rbac-user.ts";

export const rbacCommands: CommandTree = {
  name: "rbac",
  summary: "Who may do what: users, roles, tokens, sessions. As the owner of the state directory, or as COFFERDAM_TOKEN or COFFERDAM_SESSION say.",
  commands: [
    setupCommand,
    userCommands,
    roleCommands,
    assignCommand,
    unassignCommand,
    checkCommand,
    explainCommand,
    repositoryCommands,
    policyCommands,
    tokenCommands,
    loginCommand,
    sessionCommands,
    recoverCommand,
    resetClockCommand,
  ],
};
