/** Everything about the user's npm that a guarded install needs, gathered once. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type Clock, CofferdamError } from "../../foundation/index.ts";
import { Facts, type Store } from "../../store/index.ts";
import { Registries } from "../gate/registries.ts";
import type { UpstreamSettings } from "../gate/upstream.ts";
import { connectionSettings, registrySettings } from "./connection.ts";
import { locateNpm, type NpmClient } from "./locate.ts";
import { type NpmrcSources, readNpmrc } from "./npmrc.ts";

export interface ClientSetup {
  readonly client: NpmClient;
  readonly npmrc: NpmrcSources;
  /** Registries as the client would use them, the project's own choice included (judged before it is used). */
  readonly registries: Registries;
  /** Registries of the user's own configuration alone. */
  readonly trustedRegistries: Registries;
  /** Origin of the client's built-in default registry: in a lockfile it stands for whatever registry is configured. */
  readonly magicOrigin: string | undefined;
  readonly connection: UpstreamSettings;
}

export interface SetupRequest {
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly project: string;
  /** Settings of the client's command line. */
  readonly settings: ReadonlyMap<string, string>;
  readonly store: Store;
  readonly clock: Clock;
}

/** Throws ENVIRONMENT_UNFIT (no npm), INVALID_ARGUMENT (a broken setting), UPSTREAM_UNAVAILABLE never: nothing is asked of the network. */
export async function setUpClient(request: SetupRequest): Promise<ClientSetup> {
  const client = locateNpm(request.env["PATH"] ?? "");
  const npmrc = await readNpmrc(request.project, client, request.env, request.settings);
  const builtin = await defaultRegistry(client, request);
  const trusted = registrySettings(npmrc.trusted);
  // The command line stands above the project's file, everything else of the user below it.
  const [flags, environment, ...below] = npmrc.trusted;
  const order = [flags, environment, npmrc.project, ...below].filter((file) => file !== undefined);
  const all = registrySettings(order);
  return {
    client,
    npmrc,
    registries: new Registries(all.registry ?? builtin, all.scopes),
    trustedRegistries: new Registries(trusted.registry ?? builtin, trusted.scopes),
    magicOrigin: URL.parse(builtin)?.origin,
    connection: connectionSettings(npmrc.trusted, request.env, `npm/${client.version} cofferdam`),
  };
}

/** The registry that this npm uses when nothing is configured. It depends on npm's version alone, so it is asked once. */
async function defaultRegistry(client: NpmClient, { store, clock }: SetupRequest): Promise<string> {
  const facts = new Facts(store, "npm-default-registry");
  await facts.initialize();
  const key = `${client.folder} ${client.version}`;
  const known = await facts.get(key);
  if (known !== undefined) return String(JSON.parse(known));
  const registry = await askDefaultRegistry(client);
  await facts.put(key, JSON.stringify(registry), clock.now());
  return registry;
}

async function askDefaultRegistry(client: NpmClient): Promise<string> {
  // A folder without configuration, and files that do not exist: what is left is npm's own default.
  const none = "/nonexistent/cofferdam";
  const args = [client.script, "config", "get", "registry", `--userconfig=${none}/user`, `--globalconfig=${none}/global`, "--no-update-notifier"];
  try {
    const { stdout } = await promisify(execFile)(client.node, args, {
      cwd: "/",
      env: { PATH: "/usr/bin:/bin", HOME: none },
      timeout: 30_000,
      maxBuffer: 64 * 1024,
    });
    const address = stdout.trim();
    if (URL.parse(address) === null) throw new Error(`not an address: ${address.slice(0, 100)}`);
    return address;
  } catch (error) {
    throw new CofferdamError("ENVIRONMENT_UNFIT", `npm does not say its default registry: ${error instanceof Error ? error.message.slice(0, 300) : ""}`, {
      cause: error,
      hint: "set registry in your ~/.npmrc",
    });
  }
}
