/** The schemas of `answers.ts`: what we rely on is checked, the rest passes. */
import { z } from "zod";
import type {
  ContainerChange,
  ContainerConfigFacts,
  ContainerExitAnswer,
  ContainerInspect,
  ContainerStats,
  ContainerSummary,
  Created,
  DiskUsage,
  EngineEvent,
  EngineInfo,
  EngineVersion,
  ExecInspect,
  ImageInspect,
  ImageLayer,
  ImageRemoval,
  ImageSummary,
  NetworkInspect,
  PathStat,
  ProcessTable,
  VolumeInspect,
} from "./answers.ts";
import { nonsense } from "./failure.ts";

/** Throws UPSTREAM_UNAVAILABLE for what is no JSON, or not of this shape. */
export function parseAnswer<T>(schema: z.ZodType<T>, text: string, what: string, revive?: Reviver): T {
  let raw: unknown;
  try {
    raw = JSON.parse(text, revive);
  } catch {
    throw nonsense(what, "no JSON");
  }
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw nonsense(what, `${issue?.path.join(".").slice(0, 200) ?? ""}: ${issue?.message.slice(0, 200) ?? "invalid"}`);
}

type Reviver = (key: string, value: unknown, context?: { readonly source?: string }) => unknown;

/** For {@link eventSchema}: nanoseconds since the epoch are past what a number holds exactly. */
export function exactNano(key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return key === "timeNano" && typeof value === "number" && context?.source !== undefined && /^\d{1,19}$/.test(context.source) ? BigInt(context.source) : value;
}

const text = z.string();
const number = z.number();
const flag = z.boolean();
const maybeText = orUndefined(text);
const maybeNumber = orUndefined(number);
const maybeFlag = orUndefined(flag);
const texts = list(text);
const labels = map(text);
const open = map(z.unknown());

function orUndefined<T>(schema: z.ZodType<T>): z.ZodType<T | undefined> {
  return schema.nullish().transform((value) => value ?? undefined);
}

function list<T>(item: z.ZodType<T>): z.ZodType<readonly T[]> {
  return z
    .array(item)
    .nullish()
    .transform((value) => value ?? []);
}

/** Not z.record: that leaves out a key named __proto__, and a label may have any name. */
function map<T>(item: z.ZodType<T>): z.ZodType<Readonly<Record<string, T>>> {
  const given = z.unknown().optional();
  return given.transform((value, context) => {
    if (value === null || value === undefined) return {};
    if (typeof value !== "object" || Array.isArray(value)) {
      context.addIssue("not an object");
      return z.NEVER;
    }
    const entries: [string, T][] = [];
    for (const [key, raw] of Object.entries(value)) {
      const parsed = item.safeParse(raw);
      if (!parsed.success) {
        context.addIssue(`${key.slice(0, 100)}: ${parsed.error.issues[0]?.message ?? "invalid"}`);
        return z.NEVER;
      }
      entries.push([key, parsed.data]);
    }
    return Object.fromEntries(entries);
  });
}

export const versionSchema: z.ZodType<EngineVersion> = z.looseObject({
  Version: text,
  ApiVersion: text,
  MinAPIVersion: maybeText,
  Os: maybeText,
  Arch: maybeText,
  KernelVersion: maybeText,
  Components: list(z.looseObject({ Name: text, Version: text })),
});

export const infoSchema: z.ZodType<EngineInfo> = z.looseObject({
  ID: maybeText,
  ServerVersion: maybeText,
  Driver: text,
  CgroupDriver: maybeText,
  CgroupVersion: maybeText,
  DockerRootDir: maybeText,
  NCPU: number,
  MemTotal: number,
  MemoryLimit: maybeFlag,
  SwapLimit: maybeFlag,
  PidsLimit: maybeFlag,
  SecurityOptions: texts,
  Runtimes: open,
  DefaultRuntime: maybeText,
  LiveRestoreEnabled: maybeFlag,
  SystemTime: maybeText,
  Warnings: texts,
});

export const diskUsageSchema: z.ZodType<DiskUsage> = z.looseObject({
  LayersSize: maybeNumber,
  Images: list(open),
  Containers: list(open),
  Volumes: list(open),
  BuildCache: list(open),
});

export const createdSchema: z.ZodType<Created> = z.looseObject({ Id: text.min(1).max(128), Warnings: texts });
export const warningsSchema: z.ZodType<{ readonly Warnings: readonly string[] }> = z.looseObject({ Warnings: texts });

const configSchema: z.ZodType<ContainerConfigFacts> = z.looseObject({
  Image: maybeText,
  User: maybeText,
  Tty: maybeFlag,
  Env: texts,
  Cmd: texts,
  Entrypoint: texts,
  WorkingDir: maybeText,
  Labels: labels,
});

export const containerSchema: z.ZodType<ContainerInspect> = z.looseObject({
  Id: text.min(1).max(128),
  Name: text,
  Created: text,
  Path: text,
  Args: texts,
  State: z.looseObject({
    Status: text,
    Running: flag,
    Paused: flag,
    OOMKilled: flag,
    Dead: maybeFlag,
    Pid: number.int().min(0),
    ExitCode: number.int(),
    Error: maybeText,
    StartedAt: text,
    FinishedAt: text,
  }),
  Image: text,
  RestartCount: maybeNumber,
  LogPath: maybeText,
  HostConfig: open,
  Config: configSchema,
  Mounts: list(z.looseObject({ Type: text, Name: maybeText, Source: maybeText, Destination: text, Mode: maybeText, RW: flag, Propagation: maybeText })),
  NetworkSettings: z.looseObject({
    Networks: map(
      z.looseObject({
        NetworkID: maybeText,
        EndpointID: maybeText,
        Gateway: maybeText,
        IPAddress: maybeText,
        IPPrefixLen: maybeNumber,
        MacAddress: maybeText,
      }),
    ),
  }),
  GraphDriver: orUndefined(z.looseObject({ Name: text, Data: open })),
  ExecIDs: texts,
  SizeRw: maybeNumber,
  SizeRootFs: maybeNumber,
});

export const containersSchema: z.ZodType<readonly ContainerSummary[]> = list(
  z.looseObject({
    Id: text,
    Names: texts,
    Image: text,
    ImageID: text,
    Command: maybeText,
    Created: number,
    State: text,
    Status: text,
    Labels: labels,
  }),
);

export const exitSchema: z.ZodType<ContainerExitAnswer> = z.looseObject({
  StatusCode: number.int(),
  Error: orUndefined(z.looseObject({ Message: maybeText })),
});

export const processesSchema: z.ZodType<ProcessTable> = z.looseObject({ Titles: texts, Processes: list(texts) });

export const statsSchema: z.ZodType<ContainerStats> = z.looseObject({
  read: text,
  pids_stats: z.looseObject({ current: maybeNumber, limit: maybeNumber }),
  cpu_stats: z.looseObject({
    cpu_usage: z.looseObject({ total_usage: number }),
    system_cpu_usage: maybeNumber,
    online_cpus: maybeNumber,
    throttling_data: orUndefined(z.looseObject({ periods: number, throttled_periods: number, throttled_time: number })),
  }),
  memory_stats: z.looseObject({ usage: maybeNumber, limit: maybeNumber, failcnt: maybeNumber, stats: orUndefined(open) }),
  networks: map(open),
});

export const changesSchema: z.ZodType<readonly ContainerChange[]> = list(z.looseObject({ Path: text, Kind: number }));

export const pathStatSchema: z.ZodType<PathStat> = z.looseObject({ name: text, size: number, mode: number, mtime: text, linkTarget: text });

export const identitySchema: z.ZodType<{ readonly Id: string }> = z.looseObject({ Id: text.min(1).max(128) });

export const execSchema: z.ZodType<ExecInspect> = z.looseObject({
  ID: text,
  Running: flag,
  ExitCode: number
    .int()
    .nullish()
    .transform((value) => value ?? null),
  Pid: number.int(),
  ContainerID: text,
});

export const imageSchema: z.ZodType<ImageInspect> = z.looseObject({
  Id: text,
  RepoTags: texts,
  RepoDigests: texts,
  Created: maybeText,
  Architecture: maybeText,
  Os: maybeText,
  Size: number,
  Config: z.preprocess((value) => value ?? {}, configSchema),
  RootFS: z.looseObject({ Type: maybeText, Layers: texts }),
});

export const imagesSchema: z.ZodType<readonly ImageSummary[]> = list(
  z.looseObject({ Id: text, RepoTags: texts, RepoDigests: texts, Created: number, Size: number, Labels: labels }),
);

export const historySchema: z.ZodType<readonly ImageLayer[]> = list(
  z.looseObject({ Id: text, Created: number, CreatedBy: text, Tags: texts, Size: number, Comment: text }),
);

export const removalsSchema: z.ZodType<readonly ImageRemoval[]> = list(z.looseObject({ Untagged: maybeText, Deleted: maybeText }));

export const networkSchema: z.ZodType<NetworkInspect> = z.looseObject({
  Id: text,
  Name: text,
  Driver: text,
  Scope: maybeText,
  Internal: maybeFlag,
  EnableIPv6: maybeFlag,
  IPAM: z.preprocess((value) => value ?? {}, z.looseObject({ Driver: maybeText, Config: list(z.looseObject({ Subnet: maybeText, Gateway: maybeText })) })),
  Containers: map(z.looseObject({ Name: maybeText, IPv4Address: maybeText, MacAddress: maybeText })),
  Options: labels,
  Labels: labels,
});
export const networksSchema: z.ZodType<readonly NetworkInspect[]> = list(networkSchema);

export const volumeSchema: z.ZodType<VolumeInspect> = z.looseObject({ Name: text, Driver: text, Mountpoint: text, Labels: labels, Options: labels });
export const volumesSchema: z.ZodType<{ readonly Volumes: readonly VolumeInspect[] }> = z.looseObject({ Volumes: list(volumeSchema) });

export const eventSchema: z.ZodType<EngineEvent> = z.looseObject({
  Type: text,
  Action: text,
  Actor: z.looseObject({ ID: text, Attributes: labels }),
  timeNano: z.bigint(),
});
