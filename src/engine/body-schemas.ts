/** The schemas of `bodies.ts`, and how a body is written: from the known keys, checked, and from nothing else. */
import { z } from "zod";
import { CofferdamError, parseInput } from "../foundation/index.ts";
import type { ContainerCreate, ContainerUpdate, ExecCreate, NetworkConnect, NetworkCreate, VolumeCreate } from "./bodies.ts";

/** Most bytes of a body once it is written; a seccomp profile has some 20 kB. */
export const MAX_BODY_BYTES: number = 4 * 2 ** 20;
/** One argument or variable of a program on Linux. */
const MAX_TEXT = 128 * 1024;
const MAX_ITEMS = 10_000;

/**
 * The JSON of a body. Throws INVALID_ARGUMENT for an unknown key, a text that the engine would change (NUL, half a surrogate
 * pair), or a value out of range; PAYLOAD_TOO_LARGE past {@link MAX_BODY_BYTES}.
 */
export function writeBody<T>(schema: z.ZodType<T>, body: T, what: string): Buffer {
  const bytes = Buffer.from(JSON.stringify(parseInput(schema, ownOf(body, what), what)));
  if (bytes.length > MAX_BODY_BYTES) throw new CofferdamError("PAYLOAD_TOO_LARGE", `${what}: larger than ${MAX_BODY_BYTES} bytes`);
  return bytes;
}

/** A copy that has what is the object's own and nothing that it inherits. */
function ownOf(body: unknown, what: string): unknown {
  try {
    return structuredClone(body);
  } catch {
    throw new CofferdamError("INVALID_ARGUMENT", `${what}: holds what is no data`);
  }
}

/** Values of variables, for {@link Call.secrets}. */
export function valuesOf(env: readonly string[] | undefined): string[] {
  return (env ?? []).map((line) => line.slice(line.indexOf("=") + 1));
}

function textOf(max: number): z.ZodType<string> {
  return z
    .string()
    .max(max)
    .refine((value) => value.isWellFormed() && !value.includes("\0"), "has a NUL or half a surrogate pair");
}

/** Not z.record: that leaves out a key named __proto__, and nothing may get lost on the way. */
function mapOf<T>(item: z.ZodType<T>): z.ZodType<Readonly<Record<string, T>>> {
  const entry = z.tuple([textOf(4096), item]);
  return z
    .custom<Readonly<Record<string, T>>>((value) => typeof value === "object" && value !== null && !Array.isArray(value), "not an object")
    .transform((value, context) => {
      const entries = z.array(entry).max(MAX_ITEMS).safeParse(Object.entries(value));
      if (entries.success) return Object.fromEntries(entries.data);
      const issue = entries.error.issues[0];
      context.addIssue(`entry ${String(issue?.path[0] ?? "")}: ${issue?.message ?? "invalid"}`);
      return z.NEVER;
    });
}

const text = textOf(MAX_TEXT);
const name = textOf(4096);
const texts = z.array(text).max(MAX_ITEMS);
const names = z.array(name).max(MAX_ITEMS);
const labels = mapOf(text);
const flag = z.boolean();
const count = z.number().int();

const rates = z.array(z.strictObject({ Path: name, Rate: count.min(0) })).max(100);
const resources = {
  CpuShares: count.optional(),
  NanoCpus: count.optional(),
  CpuPeriod: count.optional(),
  CpuQuota: count.optional(),
  CpusetCpus: name.optional(),
  CpusetMems: name.optional(),
  Memory: count.optional(),
  MemoryReservation: count.optional(),
  MemorySwap: count.optional(),
  MemorySwappiness: count.optional(),
  OomKillDisable: flag.optional(),
  PidsLimit: count.optional(),
  BlkioWeight: count.optional(),
  BlkioDeviceReadBps: rates.optional(),
  BlkioDeviceWriteBps: rates.optional(),
  BlkioDeviceReadIOps: rates.optional(),
  BlkioDeviceWriteIOps: rates.optional(),
};

const mount = z.strictObject({
  Type: z.enum(["bind", "volume", "tmpfs"]),
  Source: name.optional(),
  Target: name,
  ReadOnly: flag.optional(),
  BindOptions: z.strictObject({ Propagation: z.enum(["private", "rprivate", "slave", "rslave"]).optional(), NonRecursive: flag.optional() }).optional(),
  VolumeOptions: z.strictObject({ NoCopy: flag.optional(), Labels: labels.optional() }).optional(),
  TmpfsOptions: z.strictObject({ SizeBytes: count.min(0).optional(), Mode: count.min(0).max(0o7777).optional() }).optional(),
});

const endpoint = z.strictObject({
  IPAMConfig: z.strictObject({ IPv4Address: name.optional(), IPv6Address: name.optional() }).optional(),
  Aliases: names.optional(),
});

const hostConfig = z.strictObject({
  ...resources,
  Mounts: z.array(mount).max(1000).optional(),
  Binds: names.optional(),
  Tmpfs: labels.optional(),
  NetworkMode: name.optional(),
  RestartPolicy: z.strictObject({ Name: z.enum(["", "no"]), MaximumRetryCount: z.literal(0).optional() }).optional(),
  AutoRemove: flag.optional(),
  CapAdd: names.optional(),
  CapDrop: names.optional(),
  CgroupnsMode: z.enum(["private", "host"]).optional(),
  CgroupParent: name.optional(),
  Dns: names.optional(),
  DnsOptions: names.optional(),
  DnsSearch: names.optional(),
  ExtraHosts: names.optional(),
  GroupAdd: names.optional(),
  IpcMode: name.optional(),
  PidMode: name.optional(),
  UTSMode: name.optional(),
  UsernsMode: name.optional(),
  Privileged: z.literal(false).optional(),
  PublishAllPorts: z.literal(false).optional(),
  Devices: z.array(z.never()).max(0).optional(),
  ReadonlyRootfs: flag.optional(),
  SecurityOpt: z
    .array(textOf(2 ** 20))
    .max(100)
    .optional(),
  StorageOpt: labels.optional(),
  Sysctls: labels.optional(),
  ShmSize: count.min(0).optional(),
  Runtime: name.optional(),
  Init: flag.optional(),
  LogConfig: z.strictObject({ Type: name, Config: labels.optional() }).optional(),
  MaskedPaths: names.optional(),
  ReadonlyPaths: names.optional(),
  OomScoreAdj: count.optional(),
  Ulimits: z
    .array(z.strictObject({ Name: name, Soft: count, Hard: count }))
    .max(100)
    .optional(),
});

export const containerCreateSchema: z.ZodType<ContainerCreate> = z.strictObject({
  Image: name,
  Hostname: name.optional(),
  Domainname: name.optional(),
  User: name.optional(),
  Tty: flag.optional(),
  OpenStdin: flag.optional(),
  StdinOnce: flag.optional(),
  AttachStdin: flag.optional(),
  AttachStdout: flag.optional(),
  AttachStderr: flag.optional(),
  Env: texts.optional(),
  Cmd: texts.optional(),
  Entrypoint: texts.optional(),
  WorkingDir: name.optional(),
  Labels: labels.optional(),
  StopSignal: name.optional(),
  StopTimeout: count.min(0).optional(),
  Healthcheck: z.strictObject({ Test: texts }).optional(),
  NetworkDisabled: flag.optional(),
  HostConfig: hostConfig.optional(),
  NetworkingConfig: z.strictObject({ EndpointsConfig: mapOf(endpoint) }).optional(),
});

export const containerUpdateSchema: z.ZodType<ContainerUpdate> = z.strictObject(resources);

export const execCreateSchema: z.ZodType<ExecCreate> = z.strictObject({
  Cmd: texts,
  Env: texts.optional(),
  User: name.optional(),
  WorkingDir: name.optional(),
  Tty: flag.optional(),
  AttachStdin: flag.optional(),
  AttachStdout: flag.optional(),
  AttachStderr: flag.optional(),
});

export const networkCreateSchema: z.ZodType<NetworkCreate> = z.strictObject({
  Name: name,
  CheckDuplicate: z.literal(true).optional(),
  Driver: name.optional(),
  Internal: flag.optional(),
  EnableIPv6: flag.optional(),
  IPAM: z
    .strictObject({
      Driver: name.optional(),
      Config: z.array(z.strictObject({ Subnet: name, Gateway: name.optional(), IPRange: name.optional() })).max(100),
    })
    .optional(),
  Options: labels.optional(),
  Labels: labels.optional(),
});

export const networkConnectSchema: z.ZodType<NetworkConnect> = z.strictObject({ Container: name, EndpointConfig: endpoint.optional() });

export const volumeCreateSchema: z.ZodType<VolumeCreate> = z.strictObject({
  Name: name,
  Driver: name.optional(),
  DriverOpts: labels.optional(),
  Labels: labels.optional(),
});
