/** What most commands open: the policy, and the state directory with its database and audit trail. */
import { join } from "node:path";
import type { AuditLogger } from "../../audit/index.ts";
import { CofferdamError } from "../../foundation/index.ts";
import { type EffectivePolicy, LEVELS, loadPolicy } from "../../policy/index.ts";
import type { Store } from "../../store/index.ts";
import type { AdvisoryDatabase } from "../../vulnerability/index.ts";
import type { CommandContext } from "./command.ts";
import { checkpointOptions } from "./trail-policy.ts";

/** The policy of the working folder with the flags of this call. */
export async function openPolicy({ globals, env, cwd }: CommandContext): Promise<EffectivePolicy> {
  const level = LEVELS.find((name) => name === globals.level);
  if (globals.level !== undefined && level === undefined)
    throw new CofferdamError("INVALID_ARGUMENT", `no level ${JSON.stringify(globals.level.slice(0, 40))}: ${LEVELS.join(", ")}`);
  return await loadPolicy({ cwd, env, configPath: globals.config, ...(level === undefined ? {} : { flags: { level } }) });
}

export interface State {
  readonly store: Store;
  readonly audit: AuditLogger;
}

/** The advisory database of the state directory. The caller closes it. Loaded here: most commands have no use for it. */
export async function openAdvisories({ globals }: Pick<CommandContext, "globals">): Promise<AdvisoryDatabase> {
  const { AdvisoryDatabase } = await import("../../vulnerability/index.ts");
  return new AdvisoryDatabase({ directory: join(globals.state, "advisories") });
}

/** Opens the state directory for the length of `work`, and closes it whatever happens. */
export async function withState<T>(context: CommandContext, work: (state: State) => Promise<T>): Promise<T> {
  const { globals } = context;
  // A policy that cannot be read is the business of the command that follows it; searching the trail goes on without.
  const policy = await openPolicy(context).catch(() => undefined);
  // Loaded here: who asks for the policy alone has no use for them.
  const [{ AuditLogger }, { SqliteStore }] = await Promise.all([import("../../audit/index.ts"), import("../../store/index.ts")]);
  await using store = new SqliteStore({ path: join(globals.state, "cofferdam.db") });
  await using audit = new AuditLogger({
    store,
    storage: { directory: globals.state },
    ...(policy === undefined ? {} : { checkpoint: checkpointOptions(policy) }),
  });
  await audit.initialize();
  return await work({ store, audit });
}
