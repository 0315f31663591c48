/**
 * Answers of the engine, as far as we read them; `answer-schemas.ts` checks them. The objects are loose: what a newer engine
 * adds passes through unread. Go writes null for an empty list or map; here it is an empty one.
 */

type Labels = Readonly<Record<string, string>>;
/** A part that is handed on as it came. */
type Open = Readonly<Record<string, unknown>>;

export interface EngineVersion {
  readonly Version: string;
  readonly ApiVersion: string;
  readonly MinAPIVersion?: string | undefined;
  readonly Os?: string | undefined;
  readonly Arch?: string | undefined;
  readonly KernelVersion?: string | undefined;
  readonly Components: readonly { readonly Name: string; readonly Version: string }[];
}

export interface EngineInfo {
  readonly ID?: string | undefined;
  readonly ServerVersion?: string | undefined;
  /** The storage driver: overlay2, vfs... */
  readonly Driver: string;
  readonly CgroupDriver?: string | undefined;
  /** "1" or "2". */
  readonly CgroupVersion?: string | undefined;
  readonly DockerRootDir?: string | undefined;
  readonly NCPU: number;
  /** Bytes. */
  readonly MemTotal: number;
  readonly MemoryLimit?: boolean | undefined;
  readonly SwapLimit?: boolean | undefined;
  readonly PidsLimit?: boolean | undefined;
  readonly SecurityOptions: readonly string[];
  readonly Runtimes: Open;
  readonly DefaultRuntime?: string | undefined;
  readonly LiveRestoreEnabled?: boolean | undefined;
  readonly SystemTime?: string | undefined;
  readonly Warnings: readonly string[];
}

export interface DiskUsage {
  readonly LayersSize?: number | undefined;
  readonly Images: readonly Open[];
  readonly Containers: readonly Open[];
  readonly Volumes: readonly Open[];
  readonly BuildCache: readonly Open[];
}

export interface Created {
  readonly Id: string;
  readonly Warnings: readonly string[];
}

export interface ContainerState {
  readonly Status: string;
  readonly Running: boolean;
  readonly Paused: boolean;
  readonly OOMKilled: boolean;
  readonly Dead?: boolean | undefined;
  /** Of the container's first process, on the engine's host; 0 when it does not run. */
  readonly Pid: number;
  readonly ExitCode: number;
  readonly Error?: string | undefined;
  /** RFC 3339; year 1 for "never". */
  readonly StartedAt: string;
  readonly FinishedAt: string;
}

export interface MountPoint {
  readonly Type: string;
  readonly Name?: string | undefined;
  readonly Source?: string | undefined;
  readonly Destination: string;
  readonly Mode?: string | undefined;
  readonly RW: boolean;
  readonly Propagation?: string | undefined;
}

export interface EndpointFacts {
  readonly NetworkID?: string | undefined;
  readonly EndpointID?: string | undefined;
  readonly Gateway?: string | undefined;
  readonly IPAddress?: string | undefined;
  readonly IPPrefixLen?: number | undefined;
  readonly MacAddress?: string | undefined;
}

/** A container's configuration as it came; which keys there are depends on the engine. */
export interface ContainerConfigFacts {
  readonly Image?: string | undefined;
  readonly User?: string | undefined;
  readonly Tty?: boolean | undefined;
  readonly Env: readonly string[];
  readonly Cmd: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly WorkingDir?: string | undefined;
  readonly Labels: Labels;
  readonly [key: string]: unknown;
}

export interface ContainerInspect {
  readonly Id: string;
  /** With a leading slash. */
  readonly Name: string;
  readonly Created: string;
  readonly Path: string;
  readonly Args: readonly string[];
  readonly State: ContainerState;
  /** `sha256:...` of the image. */
  readonly Image: string;
  readonly RestartCount?: number | undefined;
  readonly LogPath?: string | undefined;
  readonly HostConfig: Open;
  readonly Config: ContainerConfigFacts;
  readonly Mounts: readonly MountPoint[];
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, EndpointFacts>> };
  readonly GraphDriver?: { readonly Name: string; readonly Data: Open } | undefined;
  readonly ExecIDs: readonly string[];
  readonly SizeRw?: number | undefined;
  readonly SizeRootFs?: number | undefined;
}

export interface ContainerSummary {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly Image: string;
  readonly ImageID: string;
  readonly Command?: string | undefined;
  /** Seconds since the epoch. */
  readonly Created: number;
  readonly State: string;
  readonly Status: string;
  readonly Labels: Labels;
}

export interface ProcessTable {
  readonly Titles: readonly string[];
  readonly Processes: readonly (readonly string[])[];
}

/** Counters of one container; an engine without a controller leaves its part out. */
export interface ContainerStats {
  readonly read: string;
  readonly pids_stats: { readonly current?: number | undefined; readonly limit?: number | undefined };
  readonly cpu_stats: {
    readonly cpu_usage: { readonly total_usage: number };
    readonly system_cpu_usage?: number | undefined;
    readonly online_cpus?: number | undefined;
    readonly throttling_data?: { readonly periods: number; readonly throttled_periods: number; readonly throttled_time: number } | undefined;
  };
  readonly memory_stats: {
    readonly usage?: number | undefined;
    readonly limit?: number | undefined;
    readonly failcnt?: number | undefined;
    readonly stats?: Open | undefined;
  };
  readonly networks: Readonly<Record<string, Open>>;
}

export interface ContainerChange {
  readonly Path: string;
  /** 0 modified, 1 added, 2 deleted. */
  readonly Kind: number;
}

/** Of a path in a container. */
export interface PathStat {
  readonly name: string;
  readonly size: number;
  /** Go's file mode bits: the low nine are the permissions, bit 31 a folder, bit 27 a symbolic link. */
  readonly mode: number;
  readonly mtime: string;
  readonly linkTarget: string;
}

export interface ExecInspect {
  readonly ID: string;
  readonly Running: boolean;
  /** Null until it has ended. */
  readonly ExitCode: number | null;
  readonly Pid: number;
  readonly ContainerID: string;
}

export interface ImageInspect {
  /** `sha256:...` */
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
  readonly Created?: string | undefined;
  readonly Architecture?: string | undefined;
  readonly Os?: string | undefined;
  readonly Size: number;
  /** The image's own word about how to run it: untrusted. */
  readonly Config: ContainerConfigFacts;
  readonly RootFS: { readonly Type?: string | undefined; readonly Layers: readonly string[] };
}

export interface ImageSummary {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
  readonly Created: number;
  readonly Size: number;
  readonly Labels: Labels;
}

export interface ImageLayer {
  readonly Id: string;
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Tags: readonly string[];
  readonly Size: number;
  readonly Comment: string;
}

export interface ImageRemoval {
  readonly Untagged?: string | undefined;
  readonly Deleted?: string | undefined;
}

export interface NetworkInspect {
  readonly Id: string;
  readonly Name: string;
  readonly Driver: string;
  readonly Scope?: string | undefined;
  readonly Internal?: boolean | undefined;
  readonly EnableIPv6?: boolean | undefined;
  readonly IPAM: {
    readonly Driver?: string | undefined;
    readonly Config: readonly { readonly Subnet?: string | undefined; readonly Gateway?: string | undefined }[];
  };
  /** By container id; filled only by inspect. */
  readonly Containers: Readonly<
    Record<string, { readonly Name?: string | undefined; readonly IPv4Address?: string | undefined; readonly MacAddress?: string | undefined }>
  >;
  readonly Options: Labels;
  readonly Labels: Labels;
}

export interface VolumeInspect {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly Labels: Labels;
  readonly Options: Labels;
}

export interface EngineEvent {
  /** container, image, network, volume, daemon... */
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Labels };
  /** Nanoseconds since the epoch, exact: JSON numbers of this size are not. */
  readonly timeNano: bigint;
}

/** Answer of a wait; {@link ContainerExit} is what becomes of it. */
export interface ContainerExitAnswer {
  readonly StatusCode: number;
  readonly Error?: { readonly Message?: string | undefined } | undefined;
}
