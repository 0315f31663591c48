/** What secret commands open: the policy, the trail, and the secrets as the policy keeps them. */
import { CofferdamError } from "../../foundation/index.ts";
import { type EffectivePolicy, type SecretProviderWords, secretRulesOf } from "../../policy/index.ts";
import type { Actor, RBACSystem } from "../../rbac/index.ts";
import {
  type Authorizer,
  commandProvider,
  type EncryptionOptions,
  everyName,
  lastPosition,
  type RotationProvider,
  readPrivate,
  type SecretActor,
  SecretManagementSystem,
  type SecretOptions,
  type VaultOptions,
  vaultProvider,
} from "../../secrets/index.ts";
import { caller } from "./caller.ts";
import type { CommandContext } from "./command.ts";
import type { SecretPlaces } from "./job-session.ts";
import { actorOf, openRoles } from "./rbac-session.ts";
import { vaultOf } from "./secret-vault.ts";
import { openPolicy, withState } from "./session.ts";

/**
 * Opens the secrets for the length of `work`, for the owner of the state directory or, with a token or session in the environment,
 * for that user. @param ready false: without initialize(), for a store that may not open.
 */
export async function withSecrets<T>(
  context: CommandContext,
  work: (secrets: SecretManagementSystem, by: SecretActor) => Promise<T>,
  ready = true,
): Promise<T> {
  const policy = await openPolicy(context);
  return await withState(context, async ({ store, audit }) => {
    const places = { stateDir: context.globals.state, store, audit };
    await using rbac = await openRoles(places, policy, context.env);
    const actor = await actorOf(context, rbac);
    const options = await secretOptionsOf(policy, places);
    await using secrets = new SecretManagementSystem({ ...options, authorizer: authorizerOf(rbac, actor) });
    if (ready) await secrets.initialize();
    return await work(secrets, { userId: actor.kind === "user" ? actor.userId : caller() });
  });
}

/** What a role allows is asked for with the limits of the token that was used. */
function authorizerOf(rbac: RBACSystem, actor: Actor): Authorizer {
  return {
    async authorize({ permission, repository }) {
      if (actor.kind !== "user") return { allowed: actor.kind === "local-owner", rule: actor.kind };
      const asked = { ...actor.context, ...(repository !== undefined && { repository }) };
      const { rule } = await rbac.requirePermission(actor.userId, permission === "secrets:reveal" ? "secrets:read" : permission, asked);
      return { allowed: true, rule: rule ?? "allowed-by-default" };
    },
  };
}

/** Every name, page by page. */
export function allNames(secrets: SecretManagementSystem, by: SecretActor): AsyncGenerator<string> {
  return everyName(async (after) => await secrets.listSecrets({ after, limit: 1000 }, by));
}

/** As the policy says. Throws INVALID_ARGUMENT, NOT_FOUND. */
export async function secretOptionsOf({ values }: EffectivePolicy, { stateDir, store, audit }: SecretPlaces): Promise<SecretOptions> {
  const { rotation, ...rules } = secretRulesOf(values);
  const backend = values["secrets.backend"];
  const providers = Object.entries(values["secrets.providers"]);
  const needsVault = backend === "vault" || providers.some(([, { vault }]) => vault !== undefined);
  const vault = needsVault ? await vaultOf(values["secrets.vault"]) : undefined;
  const made = providers.flatMap(([name, words]): [string, RotationProvider][] => {
    const provider = providerOf(words, vault);
    return provider === undefined ? [] : [[name, provider]];
  });
  const [passphraseFile, command] = [values["secrets.passphrase-file"], values["secrets.key-command"]];
  const encryption: EncryptionOptions = {
    key: values["secrets.key"],
    ...(passphraseFile !== "none" && { passphrase: async () => readPassphrase(passphraseFile) }),
    ...(command.length > 0 && { command }),
  };
  return {
    ...{ ...rules, backend, stateDir, store, audit, encryption },
    ...(backend === "vault" && { vault }),
    rotation: { ...rotation, providers: Object.fromEntries(made) },
    lastPosition: async () => await lastPosition(async (query) => await audit.search(query)),
  };
}

function providerOf({ command, vault: path, field }: SecretProviderWords, vault: VaultOptions | undefined): RotationProvider | undefined {
  if (command !== undefined) return commandProvider(command);
  return vault === undefined || path === undefined || field === undefined ? undefined : vaultProvider(vault, path, field);
}

/** The first line of a private file. Throws NOT_FOUND, FAILED_PRECONDITION when others may read it. */
export function readPassphrase(path: string): Uint8Array {
  const bytes = readPrivate(path, "the file of the passphrase", 8192);
  if (bytes === undefined) throw new CofferdamError("NOT_FOUND", `there is no file of the passphrase: ${path}`);
  const end = bytes.findIndex((byte) => byte === 0x0a || byte === 0x0d);
  return end < 0 ? bytes : bytes.subarray(0, end);
}
