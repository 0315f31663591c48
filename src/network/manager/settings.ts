/** Options of NetworkIsolationManager, what a job asks for, and the one policy that both come to. */
import { z } from "zod";
import { type Clock, CofferdamError, isFunction, isObject, parseInput, type Trail } from "../../foundation/index.ts";
import type { Store } from "../../store/index.ts";
import type { IsolationMode, NetworkPolicy, UpstreamSettings } from "../contract.ts";
import { readNameServer } from "../resolver/index.ts";
import { isolationModeSchema, type NetworkPolicies, networkPoliciesSchema, networkPolicySchema, portsSchema, rulesOfPolicies } from "../rules/index.ts";

/** Options of the seed first; the rest is ours. */
export interface NetworkIsolationOptions {
  /** Of jobs that name none. `minimal` is relaxed. Default moderate. */
  readonly isolationMode?: IsolationMode | "minimal" | undefined;
  /** Cannot be false: names are resolved by our resolver alone, whatever the mode; relaxed answers all of them. */
  readonly enableDNSFiltering?: boolean | undefined;
  /** Rules of every job: `github.com`, `*.example.org`, `host:port`, `host:port/udp`, CIDR (docs/network.md). */
  readonly allowedDomains?: readonly string[] | undefined;
  /** Beat all that allows. */
  readonly deniedDomains?: readonly string[] | undefined;
  /** Of rules without a port. Default 80 and 443; at relaxed all. */
  readonly allowedPorts?: readonly number[] | undefined;
  readonly blockedPorts?: readonly number[] | undefined;
  /** Name servers that we ask, not the job: `192.0.2.53`, `192.0.2.53:5353`. Default: this host's own. */
  readonly customDNS?: readonly string[] | undefined;
  /** Egress of every job, besides its own. */
  readonly customNetworkPolicies?: NetworkPolicies | undefined;
  /** Where subnets of jobs (/28) are cut from. Default 198.18.0.0/15 (RFC 2544), which nobody routes: 8,192 of them. */
  readonly ranges?: readonly string[] | undefined;
  /** Networks that are kept ready. Default 0: each is made when it is asked for. */
  readonly ready?: number | undefined;
  /** Whether jobs have IPv6 (at strict never). Default: when this host has an address that others reach. */
  readonly ipv6?: boolean | undefined;
  /** Where it is written down who has which subnet. Default: in memory, for this process alone. */
  readonly store?: Store | undefined;
  /** Default: nothing is put on record. */
  readonly audit?: Trail | undefined;
  readonly clock?: Clock | undefined;
  /** Instead of sockets of this host. */
  readonly connect?: UpstreamSettings["connect"];
}

/** What a job asks for; parts of the seed first. */
export interface JobNetworkConfig {
  /** True: everything but what is closed to every job (mode relaxed). Default false: the allow-list. */
  readonly allowInternet?: boolean | undefined;
  readonly allowedDomains?: readonly string[] | undefined;
  readonly deniedDomains?: readonly string[] | undefined;
  readonly allowedPorts?: readonly number[] | undefined;
  readonly blockedPorts?: readonly number[] | undefined;
  readonly customDNS?: readonly string[] | undefined;
  readonly isolationMode?: IsolationMode | "minimal" | undefined;
  /** What would be refused is let go and recorded; what is closed to every job stays closed. */
  readonly observe?: boolean | undefined;
}

const MAX_READY = 512;
const nameServer = z
  .string()
  .max(64)
  .refine((text) => readNameServer(text) !== undefined, "not a name server; write it as 192.0.2.53, 192.0.2.53:53 or [2001:db8::53]:53");
const ruleList = z.array(z.string().min(1).max(512)).max(50_000).optional();
const parts = {
  allowedDomains: ruleList,
  deniedDomains: ruleList,
  allowedPorts: portsSchema.optional(),
  blockedPorts: portsSchema.optional(),
  customDNS: z.array(nameServer).max(8).optional(),
  isolationMode: isolationModeSchema.optional(),
};

/** Options whose mode is one of three. */
export interface ParsedNetworkOptions extends Omit<NetworkIsolationOptions, "isolationMode"> {
  readonly isolationMode?: IsolationMode | undefined;
}

const optionsSchema: z.ZodType<ParsedNetworkOptions> = z.strictObject({
  ...parts,
  enableDNSFiltering: z.boolean().optional(),
  customNetworkPolicies: networkPoliciesSchema.optional(),
  ranges: z.array(z.string().max(64)).min(1).max(64).optional(),
  ready: z.int().min(0).max(MAX_READY).optional(),
  ipv6: z.boolean().optional(),
  store: z.custom<Store>(isObject).optional(),
  audit: z.custom<Trail>(isObject).optional(),
  clock: z.custom<Clock>(isObject).optional(),
  connect: z.custom<NonNullable<UpstreamSettings["connect"]>>(isFunction).optional(),
});

interface ParsedConfig extends Omit<JobNetworkConfig, "isolationMode"> {
  readonly isolationMode?: IsolationMode | undefined;
}
const configSchema: z.ZodType<ParsedConfig> = z.strictObject({ ...parts, allowInternet: z.boolean().optional(), observe: z.boolean().optional() });

export const DEFAULT_RANGES: readonly string[] = ["198.18.0.0/15"];

/** Throws INVALID_ARGUMENT, FAILED_PRECONDITION for a filter that cannot be off. */
export function parseNetworkOptions(input: unknown): ParsedNetworkOptions {
  const options = parseInput(optionsSchema, input, "options of NetworkIsolationManager");
  if (options.enableDNSFiltering === false)
    throw new CofferdamError(
      "FAILED_PRECONDITION",
      "enableDNSFiltering: what a job may reach is decided by the names that it asked for, so that this cannot be off",
      {
        hint: "isolationMode relaxed answers all names, and records them",
      },
    );
  return options;
}

export interface JobSettings {
  readonly policy: NetworkPolicy;
  readonly nameServers: readonly string[];
}

/** What a job may reach: the manager's rules, and its own. Throws INVALID_ARGUMENT for what cannot be read or contradicts itself. */
export function jobSettings(options: ParsedNetworkOptions, input: unknown): JobSettings {
  const config = parseInput(configSchema, input, "network of a job");
  const common = rulesOfPolicies(options.customNetworkPolicies ?? {}, []);
  const both = <T>(one: readonly T[] = [], other: readonly T[] = []): readonly T[] => [...one, ...other];
  const policy = parseInput(
    networkPolicySchema,
    {
      mode: modeOf(options, config),
      ...(config.observe === undefined ? {} : { observe: config.observe }),
      allow: both(both(options.allowedDomains, common.allow), config.allowedDomains),
      deny: both(both(options.deniedDomains, common.deny), config.deniedDomains),
      allowedPorts: config.allowedPorts ?? options.allowedPorts,
      blockedPorts: [...new Set(both(options.blockedPorts, config.blockedPorts))],
    },
    "network of a job",
  );
  return { policy, nameServers: config.customDNS ?? options.customDNS ?? [] };
}

function modeOf({ isolationMode = "moderate" }: ParsedNetworkOptions, config: ParsedConfig): IsolationMode {
  if (config.allowInternet === undefined) return config.isolationMode ?? isolationMode;
  const mode = config.isolationMode ?? (config.allowInternet ? "relaxed" : isolationMode === "relaxed" ? "moderate" : isolationMode);
  if (config.allowInternet !== (mode === "relaxed"))
    throw new CofferdamError("INVALID_ARGUMENT", `allowInternet ${config.allowInternet} contradicts isolationMode ${mode}`, {
      hint: "relaxed is the mode with all of the internet; leave one of the two out",
    });
  return mode;
}
