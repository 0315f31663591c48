/**
 * What is sent to the engine, in its own spelling; `body-schemas.ts` checks and writes it. An unknown key is INVALID_ARGUMENT:
 * Go matches JSON keys without regard to case, so nothing is handed through. No body can ask for devices, for published
 * ports, for a restart policy, or for privileged.
 */

type Texts = readonly string[] | undefined;
type Labels = Readonly<Record<string, string>> | undefined;

/** Everything is optional but Image; left out, the engine's default holds. */
export interface ContainerCreate {
  /** Reference or `sha256:` id. */
  readonly Image: string;
  readonly Hostname?: string | undefined;
  readonly Domainname?: string | undefined;
  readonly User?: string | undefined;
  readonly Tty?: boolean | undefined;
  readonly OpenStdin?: boolean | undefined;
  /** Close stdin when the first who is attached leaves. */
  readonly StdinOnce?: boolean | undefined;
  readonly AttachStdin?: boolean | undefined;
  readonly AttachStdout?: boolean | undefined;
  readonly AttachStderr?: boolean | undefined;
  /** `NAME=value`. Values never show in our errors. */
  readonly Env?: Texts;
  readonly Cmd?: Texts;
  /** `[""]` empties the image's own; an empty list keeps it. */
  readonly Entrypoint?: Texts;
  readonly WorkingDir?: string | undefined;
  readonly Labels?: Labels;
  readonly StopSignal?: string | undefined;
  /** Seconds. */
  readonly StopTimeout?: number | undefined;
  /** `["NONE"]` turns the image's own off. */
  readonly Healthcheck?: { readonly Test: readonly string[] } | undefined;
  readonly NetworkDisabled?: boolean | undefined;
  readonly HostConfig?: HostConfig | undefined;
  readonly NetworkingConfig?: { readonly EndpointsConfig: Readonly<Record<string, EndpointSettings>> } | undefined;
}

export interface HostConfig extends Resources {
  readonly Mounts?: readonly Mount[] | undefined;
  /** `source:target:ro`. */
  readonly Binds?: Texts;
  /** Path to options: `{ "/tmp": "rw,nosuid,nodev,size=64m" }`. */
  readonly Tmpfs?: Labels;
  readonly NetworkMode?: string | undefined;
  readonly RestartPolicy?: { readonly Name: "" | "no"; readonly MaximumRetryCount?: 0 | undefined } | undefined;
  readonly AutoRemove?: boolean | undefined;
  readonly CapAdd?: Texts;
  readonly CapDrop?: Texts;
  readonly CgroupnsMode?: "private" | "host" | undefined;
  readonly CgroupParent?: string | undefined;
  readonly Dns?: Texts;
  readonly DnsOptions?: Texts;
  readonly DnsSearch?: Texts;
  readonly ExtraHosts?: Texts;
  readonly GroupAdd?: Texts;
  readonly IpcMode?: string | undefined;
  readonly PidMode?: string | undefined;
  readonly UTSMode?: string | undefined;
  readonly UsernsMode?: string | undefined;
  readonly Privileged?: false | undefined;
  readonly PublishAllPorts?: false | undefined;
  readonly Devices?: readonly never[] | undefined;
  readonly ReadonlyRootfs?: boolean | undefined;
  readonly SecurityOpt?: Texts;
  readonly StorageOpt?: Labels;
  readonly Sysctls?: Labels;
  /** Bytes of /dev/shm. */
  readonly ShmSize?: number | undefined;
  readonly Runtime?: string | undefined;
  readonly Init?: boolean | undefined;
  readonly LogConfig?: { readonly Type: string; readonly Config?: Labels } | undefined;
  readonly MaskedPaths?: Texts;
  readonly ReadonlyPaths?: Texts;
  readonly OomScoreAdj?: number | undefined;
  readonly Ulimits?: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[] | undefined;
}

/** Limits: bytes, billionths of a CPU, counts. */
export interface Resources {
  readonly CpuShares?: number | undefined;
  readonly NanoCpus?: number | undefined;
  readonly CpuPeriod?: number | undefined;
  readonly CpuQuota?: number | undefined;
  readonly CpusetCpus?: string | undefined;
  readonly CpusetMems?: string | undefined;
  readonly Memory?: number | undefined;
  readonly MemoryReservation?: number | undefined;
  /** Memory and swap together; -1 for no limit. */
  readonly MemorySwap?: number | undefined;
  readonly MemorySwappiness?: number | undefined;
  readonly OomKillDisable?: boolean | undefined;
  readonly PidsLimit?: number | undefined;
  readonly BlkioWeight?: number | undefined;
  readonly BlkioDeviceReadBps?: readonly DeviceRate[] | undefined;
  readonly BlkioDeviceWriteBps?: readonly DeviceRate[] | undefined;
  readonly BlkioDeviceReadIOps?: readonly DeviceRate[] | undefined;
  readonly BlkioDeviceWriteIOps?: readonly DeviceRate[] | undefined;
}

export interface DeviceRate {
  readonly Path: string;
  readonly Rate: number;
}

export interface Mount {
  readonly Type: "bind" | "volume" | "tmpfs";
  readonly Source?: string | undefined;
  readonly Target: string;
  readonly ReadOnly?: boolean | undefined;
  readonly BindOptions?:
    | { readonly Propagation?: "private" | "rprivate" | "slave" | "rslave" | undefined; readonly NonRecursive?: boolean | undefined }
    | undefined;
  readonly VolumeOptions?: { readonly NoCopy?: boolean | undefined; readonly Labels?: Labels } | undefined;
  readonly TmpfsOptions?: { readonly SizeBytes?: number | undefined; readonly Mode?: number | undefined } | undefined;
}

export interface EndpointSettings {
  readonly IPAMConfig?: { readonly IPv4Address?: string | undefined; readonly IPv6Address?: string | undefined } | undefined;
  readonly Aliases?: Texts;
}

export type ContainerUpdate = Resources;

export interface ExecCreate {
  readonly Cmd: readonly string[];
  readonly Env?: Texts;
  readonly User?: string | undefined;
  readonly WorkingDir?: string | undefined;
  readonly Tty?: boolean | undefined;
  readonly AttachStdin?: boolean | undefined;
  readonly AttachStdout?: boolean | undefined;
  readonly AttachStderr?: boolean | undefined;
}

export interface NetworkCreate {
  /** Always sent as true. */
  readonly CheckDuplicate?: true | undefined;
  readonly Name: string;
  readonly Driver?: string | undefined;
  readonly Internal?: boolean | undefined;
  readonly EnableIPv6?: boolean | undefined;
  readonly IPAM?:
    | {
        readonly Driver?: string | undefined;
        readonly Config: readonly { readonly Subnet: string; readonly Gateway?: string | undefined; readonly IPRange?: string | undefined }[];
      }
    | undefined;
  readonly Options?: Labels;
  readonly Labels?: Labels;
}

export interface NetworkConnect {
  readonly Container: string;
  readonly EndpointConfig?: EndpointSettings | undefined;
}

export interface VolumeCreate {
  readonly Name: string;
  readonly Driver?: string | undefined;
  readonly DriverOpts?: Labels;
  readonly Labels?: Labels;
}
