/**
 * The configuration of a container that somebody else asked for: a body for the engine's create, or what inspect shows of one
 * that exists. Nothing of it is handed on. It is read key by key against this table, in exactly the API's spelling (Go takes
 * `hostconfig` and `HostConfig` for the same, and the last one wins): what a job may say is taken over as a request of ours,
 * what the level decides is replaced, what would open the container is refused with the control that it goes against, and a
 * key that is not in the table is refused unless it says nothing.
 */
import { z } from "zod";
import { CofferdamError, parseInput } from "../../foundation/index.ts";
import { readImageConfig } from "./image-config.ts";
import type { ContainerProfile } from "./profile.ts";
import type { JobContainer } from "./spec.ts";

export interface ForeignJudgement {
  /** What it asks, as a request of ours; the caller adds job, image, limits and mounts. */
  readonly request: Pick<JobContainer, "command" | "env" | "workingDir" | "user" | "tty" | "stdin" | "scratch">;
  /** Controls that it lacked and gets. */
  readonly applied: readonly string[];
  /** What it must not have. */
  readonly refused: readonly ForeignRefusal[];
}

export interface ForeignRefusal {
  readonly control: string;
  readonly why: string;
}

/** Undefined: nothing against it. */
type Rule = (value: unknown, profile: ContainerProfile) => ForeignRefusal | undefined;

const fine: Rule = () => undefined;
/** Ours stands in its place. */
const replaced = fine;

const refuseUnlessEmpty =
  (control: string, why: string): Rule =>
  (value) =>
    isEmpty(value) ? undefined : { control, why };

const oneOf =
  (control: string, allowed: readonly string[]): Rule =>
  (value) =>
    isEmpty(value) || (typeof value === "string" && allowed.includes(value)) ? undefined : { control, why: `${control} ${shown(value)}` };

const HOST_RULES: Readonly<Record<string, Rule>> = {
  Privileged: refuseUnlessEmpty("privileged", "privileged"),
  PidMode: oneOf("pid namespace", ["private"]),
  IpcMode: oneOf("ipc namespace", ["private", "none", "shareable"]),
  UTSMode: oneOf("uts namespace", ["private"]),
  UsernsMode: oneOf("user namespace", ["private"]),
  // With cgroup v1 `host` is what an engine writes for "not said".
  CgroupnsMode: replaced,
  NetworkMode: (value) =>
    typeof value === "string" && /^(host$|container:|ns:|slirp4netns|pasta)/.test(value)
      ? { control: "network namespace", why: `network ${shown(value)}` }
      : undefined,
  Devices: refuseUnlessEmpty("devices", "devices of the host"),
  DeviceRequests: refuseUnlessEmpty("devices", "devices of the host"),
  DeviceCgroupRules: refuseUnlessEmpty("devices", "rules for devices"),
  Binds: (value) => firstOf(value, bindRefusal),
  Mounts: (value) => firstOf(value, mountRefusal),
  VolumesFrom: refuseUnlessEmpty("mounts", "volumes of another container"),
  VolumeDriver: refuseUnlessEmpty("mounts", "a driver for volumes"),
  CapAdd: (value, profile) => firstOf(value, (name) => capabilityRefusal(name, profile)),
  SecurityOpt: (value) =>
    firstOf(value, (option) =>
      /^(no-new-privileges(:true|=true)?|seccomp=builtin)$/.test(String(option))
        ? undefined
        : { control: "security-opt", why: `security-opt ${shown(option)}` },
    ),
  Sysctls: refuseUnlessEmpty("sysctls", "settings of the kernel"),
  CgroupParent: refuseUnlessEmpty("cgroup", "another cgroup"),
  Cgroup: refuseUnlessEmpty("cgroup", "the cgroup of another container"),
  CgroupSpec: refuseUnlessEmpty("cgroup", "the cgroup of another container"),
  Runtime: oneOf("runtime", ["runc", "io.containerd.runc.v2"]),
  GroupAdd: refuseUnlessEmpty("groups", "more groups"),
  OomKillDisable: refuseUnlessEmpty("memory", "no kill when out of memory"),
  OomScoreAdj: (value) => (typeof value === "number" && value < 0 ? { control: "memory", why: "to be spared when the host is out of memory" } : undefined),
  Links: refuseUnlessEmpty("network", "a link to another container"),
  PortBindings: refuseUnlessEmpty("network", "ports of the host"),
  PublishAllPorts: refuseUnlessEmpty("network", "ports of the host"),
  ContainerIDFile: refuseUnlessEmpty("mounts", "a file on the host"),
  Annotations: refuseUnlessEmpty("runtime", "words to the runtime"),
  Tmpfs: fine,
  ...Object.fromEntries(
    [
      "AutoRemove",
      "RestartPolicy",
      "LogConfig",
      "Init",
      "ReadonlyRootfs",
      "MaskedPaths",
      "ReadonlyPaths",
      "Ulimits",
      "CapDrop",
      "ShmSize",
      "Dns",
      "DnsOptions",
    ].map((key) => [key, replaced]),
  ),
  ...Object.fromEntries(
    ["DnsSearch", "ExtraHosts", "ConsoleSize", "Isolation", "StorageOpt", "Memory", "MemorySwap", "MemoryReservation", "MemorySwappiness"].map((key) => [
      key,
      replaced,
    ]),
  ),
  ...Object.fromEntries(
    ["KernelMemory", "KernelMemoryTCP", "NanoCpus", "CpuShares", "CpuPeriod", "CpuQuota", "CpusetCpus", "CpusetMems", "PidsLimit", "BlkioWeight"].map((key) => [
      key,
      replaced,
    ]),
  ),
};

/** Of the container itself. Image and names are the caller's matter, labels and health checks nobody's. */
const CONFIG_RULES: Readonly<Record<string, Rule>> = {
  MacAddress: refuseUnlessEmpty("network", "an address of its own"),
  ...Object.fromEntries(
    ["Image", "Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce", "Env", "Cmd", "Entrypoint"].map(
      (key) => [key, fine],
    ),
  ),
  ...Object.fromEntries(
    ["WorkingDir", "Labels", "StopSignal", "StopTimeout", "Volumes", "Healthcheck", "ExposedPorts", "NetworkDisabled", "OnBuild", "Shell", "ArgsEscaped"].map(
      (key) => [key, fine],
    ),
  ),
};

const object = z.record(z.string().max(256), z.unknown());
const flagsSchema = z.looseObject({ Tty: z.boolean().nullish(), OpenStdin: z.boolean().nullish() });
const MAX_BODY_BYTES = 2 * 2 ** 20;
const MAX_REFUSALS = 50;

/** A body as it came over a socket. Throws PAYLOAD_TOO_LARGE, or INVALID_ARGUMENT for what is no JSON object. */
export function judgeCreateBody(text: string, profile: ContainerProfile): ForeignJudgement & { readonly image: string } {
  if (Buffer.byteLength(text) > MAX_BODY_BYTES) throw new CofferdamError("PAYLOAD_TOO_LARGE", `a create body of more than ${MAX_BODY_BYTES} bytes`);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new CofferdamError("INVALID_ARGUMENT", "a create body that is no JSON", { cause: error });
  }
  const { HostConfig: host = {}, NetworkingConfig: _, ...config } = parseInput(object, body, "a create body");
  const image = parseInput(z.string().min(1).max(1024), config["Image"], "Image of a create body");
  return { image, ...judgeConfiguration(config, host ?? {}, profile) };
}

/** `Config` and `HostConfig`, of a body or of inspect. */
export function judgeConfiguration(config: unknown, hostConfig: unknown, profile: ContainerProfile): ForeignJudgement {
  const own = parseInput(object, config, "Config");
  const host = parseInput(object, hostConfig, "HostConfig");
  const refused = [...judge(own, CONFIG_RULES, profile), ...judge(host, HOST_RULES, profile)].slice(0, MAX_REFUSALS);
  const said = readImageConfig(own);
  const { Tty: tty, OpenStdin: stdin } = parseInput(flagsSchema, own, "Config");
  const numbers = /^(\d{1,9}):(\d{1,9})$/.exec(said.user);
  const user = numbers === null ? undefined : { uid: Number(numbers[1]), gid: Number(numbers[2]) };
  return {
    request: {
      command: [...said.entrypoint, ...said.command],
      env: Object.fromEntries(said.env),
      workingDir: said.workingDir,
      // Root gives way to the level's own choice.
      user: profile.nonRoot && (user?.uid === 0 || user?.gid === 0) ? undefined : user,
      tty: tty === true,
      stdin: stdin === true,
      scratch: [...new Set([...said.volumes, ...tmpfsPaths(host)])],
    },
    applied: missing(host, profile),
    refused,
  };
}

function judge(keys: Readonly<Record<string, unknown>>, rules: Readonly<Record<string, Rule>>, profile: ContainerProfile): ForeignRefusal[] {
  return Object.entries(keys).flatMap(([key, value]) => {
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined;
    if (rule === undefined) return isEmpty(value) ? [] : [{ control: "unknown key", why: `${shown(key)} is no key that a job may set` }];
    return rule(value, profile) ?? [];
  });
}

/** What the level demands and the original does not have. */
function missing(host: Readonly<Record<string, unknown>>, profile: ContainerProfile): string[] {
  const options = Array.isArray(host["SecurityOpt"]) ? host["SecurityOpt"].map(String) : [];
  const dropsAll = Array.isArray(host["CapDrop"]) && host["CapDrop"].some((name) => String(name).toUpperCase() === "ALL");
  const lacks: readonly (readonly [string, boolean])[] = [
    ["capabilities", !dropsAll],
    ["no-new-privileges", profile.noNewPrivileges && !options.some((option) => option.startsWith("no-new-privileges"))],
    ["seccomp", true],
    ["non-root", profile.nonRoot],
    ["read-only-root", profile.readOnlyRoot && host["ReadonlyRootfs"] !== true],
    ["cgroup namespace", host["CgroupnsMode"] === "host"],
    ["memory-limit", isEmpty(host["Memory"])],
    ["pids-limit", isEmpty(host["PidsLimit"])],
    ["network-isolation", host["NetworkMode"] !== "none"],
    ["no restart", !isEmpty(restartName(host["RestartPolicy"]))],
    ["proven-before-start", true],
  ];
  return lacks.flatMap(([control, is]) => (is ? [control] : []));
}

function restartName(policy: unknown): unknown {
  const parsed = z.looseObject({ Name: z.string() }).safeParse(policy);
  return parsed.success && parsed.data.Name !== "no" ? parsed.data.Name : "";
}

function capabilityRefusal(name: unknown, profile: ContainerProfile): ForeignRefusal | undefined {
  const plain = String(name).toUpperCase().replace(/^CAP_/, "");
  return profile.capabilities.includes(plain)
    ? undefined
    : { control: "capabilities", why: `capability ${shown(name)} is not in profile ${profile.name} at ${profile.level}` };
}

function bindRefusal(bind: unknown): ForeignRefusal {
  const source = String(bind).split(":")[0] ?? "";
  return hostRefusal(source);
}

/** Folders in memory are fine; see {@link tmpfsPaths}. */
function mountRefusal(mount: unknown): ForeignRefusal | undefined {
  const parsed = z.looseObject({ Type: z.string(), Source: z.string().nullish() }).safeParse(mount);
  if (parsed.success && parsed.data.Type === "tmpfs") return undefined;
  return hostRefusal(parsed.success ? (parsed.data.Source ?? "") : "");
}

function hostRefusal(source: string): ForeignRefusal {
  if (/(docker|containerd|podman|crio)[^/]*\.sock$/.test(source))
    return { control: "engine socket", why: "the engine's socket: whoever has it is root on the host" };
  return { control: "mounts", why: `${shown(source)} is not from the job's own folder` };
}

function tmpfsPaths(host: Readonly<Record<string, unknown>>): string[] {
  const named = object.safeParse(host["Tmpfs"] ?? {});
  const mounts = z.array(z.looseObject({ Type: z.string(), Target: z.string() })).safeParse(host["Mounts"] ?? []);
  return [
    ...(named.success ? Object.keys(named.data) : []),
    ...(mounts.success ? mounts.data.flatMap(({ Type, Target }) => (Type === "tmpfs" ? [Target] : [])) : []),
  ];
}

function firstOf(values: unknown, rule: (value: unknown) => ForeignRefusal | undefined): ForeignRefusal | undefined {
  if (isEmpty(values)) return undefined;
  if (!Array.isArray(values)) return { control: "unknown key", why: `a list was expected: ${shown(values)}` };
  for (const value of values) {
    const refusal = rule(value);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/** What Go writes for "not said", in any type. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === 0 || value === false) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 100);
}
