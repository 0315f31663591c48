/**
 * From what a job asks (spec.ts), what its image says (image-config.ts) and what its level demands (profile.ts) to the one
 * body that the engine is given, written key by key. Beside it stands what the kernel has to show afterwards: prove.ts
 * compares, and the workload waits until it did (gate.ts).
 */
import type { ContainerCreate, HostConfig, Mount } from "../../engine/index.ts";
import { CofferdamError } from "../../foundation/index.ts";
import { type ImageConfig, readImageConfig } from "./image-config.ts";
import { type ContainerProfile, SCRATCH_HOME, type Scratch, UNPRIVILEGED } from "./profile.ts";
import { type JobContainer, type JobLimits, parseJobContainer } from "./spec.ts";

/** Where the gate is inside: the shim, its socket, and the files that name the container to itself. */
export const GATE_TARGET = "/.cofferdam";
export const HOSTNAME = "job";
/** Whose container it is: for people who look at the engine. Nothing of ours trusts it. */
export const JOB_LABEL = "cofferdam.job";

export interface CreateInput {
  readonly container: JobContainer;
  readonly profile: ContainerProfile;
  /** `Config` of the image's inspect. */
  readonly imageConfig: unknown;
  /** The job's own folder on the host, 0700 and root's: every mount comes from below it. */
  readonly folder: string;
  /** Below it: what {@link GATE_TARGET} shows. */
  readonly gate: string;
  /** Seconds that the shim waits for the word to go on. */
  readonly waitSeconds: number;
}

/** What the kernel must show, once the container stands and before the workload runs. */
export interface Expected {
  readonly profile: ContainerProfile;
  /** Absent: the image names its user by a name, which only the image's own files resolve. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
  /** NAME=value, all of it but a HOME that the engine looked up. */
  readonly env: readonly string[];
  readonly mounts: readonly { readonly target: string; readonly source: string; readonly readOnly: boolean }[];
  readonly scratch: readonly Scratch[];
  readonly limits: JobLimits & { readonly PidsLimit: number };
  readonly tty: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

export interface CreatePlan {
  readonly body: ContainerCreate;
  readonly expected: Expected;
  /** What of the image was left out or changed. */
  readonly notes: readonly string[];
}

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Bytes and inodes of a folder in memory that the job or its image asks for. */
const SCRATCH = { bytes: 2 ** 30, inodes: 100_000, mode: 0o1777, exec: true } as const;
/** What a mount of the job may neither cover nor be below: the kernel's, the engine's and ours. */
const RESERVED = ["/proc", "/sys", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", GATE_TARGET];

/** Throws INVALID_ARGUMENT for a bad request and SECURITY_VIOLATION, naming the control, for one that would open the container. */
export function planContainer(input: CreateInput): CreatePlan {
  const container = parseJobContainer(input.container);
  const { profile } = input;
  const image = readImageConfig(input.imageConfig);
  const command = container.command ?? [...image.entrypoint, ...image.command];
  if (command.length === 0 || command[0] === "") throw new CofferdamError("INVALID_ARGUMENT", "no command: neither the job nor its image names one");
  const user = userOf(container, image, profile);
  const mounts = mountsOf(input, container);
  const scratch = scratchOf(container, image, profile, mounts);
  const { env, body: envBody } = environmentOf(container, image, profile, user);
  const labels = { ...Object.fromEntries(image.labels.map((name) => [name, ""])), [JOB_LABEL]: container.jobId };
  const limits = limitsOf(container, profile);
  const body: ContainerCreate = {
    Image: container.imageId,
    Hostname: HOSTNAME,
    User: user === undefined ? image.user : `${user.uid}:${user.gid}`,
    Tty: container.tty,
    OpenStdin: container.stdin,
    StdinOnce: container.stdin,
    AttachStdin: container.stdin,
    AttachStdout: true,
    AttachStderr: true,
    Env: envBody,
    Entrypoint: [`${GATE_TARGET}/shim`, String(input.waitSeconds)],
    Cmd: command,
    WorkingDir: container.workingDir ?? image.workingDir ?? "/",
    Labels: labels,
    ...(image.stopSignal === undefined ? {} : { StopSignal: image.stopSignal }),
    Healthcheck: { Test: ["NONE"] },
    HostConfig: hostConfig({ profile, user, mounts, scratch, limits }),
  };
  return { body, expected: { profile, user, env, mounts, scratch, limits, tty: container.tty, labels }, notes: image.notes };
}

function hostConfig({ profile, user, mounts, scratch, limits }: Omit<Expected, "env" | "tty" | "labels">): HostConfig {
  return {
    Mounts: mounts.map(bindMount),
    Tmpfs: Object.fromEntries(scratch.map((one) => [one.path, tmpfsOptions(one, user)])),
    NetworkMode: "none",
    RestartPolicy: { Name: "no" },
    AutoRemove: false,
    CapDrop: ["ALL"],
    CapAdd: profile.capabilities,
    CgroupnsMode: "private",
    IpcMode: "private",
    PidMode: "",
    UTSMode: "",
    UsernsMode: "",
    Privileged: false,
    PublishAllPorts: false,
    Devices: [],
    ReadonlyRootfs: profile.readOnlyRoot,
    SecurityOpt: [...(profile.noNewPrivileges ? ["no-new-privileges:true"] : []), `seccomp=${JSON.stringify(profile.seccomp)}`],
    ShmSize: profile.shmBytes,
    // The shim is pid 1 and reaps; one more program would stand between it and the job.
    Init: false,
    LogConfig: { Type: profile.log.type, Config: profile.log.config },
    MaskedPaths: profile.maskedPaths,
    ReadonlyPaths: profile.readOnlyPaths,
    OomKillDisable: false,
    OomScoreAdj: profile.oomScoreAdj,
    Ulimits: profile.ulimits.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
    ...limits,
  };
}

/** Hard limits are what the levels from medium on are about; quota may only have weights at low. */
function limitsOf({ limits }: JobContainer, profile: ContainerProfile): Expected["limits"] {
  const { Ulimits: _, ...own } = limits;
  if (profile.level !== "low" && own.Memory === undefined)
    throw new CofferdamError("SECURITY_VIOLATION", `level ${profile.level} runs no job without a limit of its memory`, { details: { control: "memory" } });
  return { ...own, PidsLimit: own.PidsLimit ?? profile.pids };
}

/** Undefined: the image's user by its name, at levels where that may be root. */
function userOf(container: JobContainer, image: ImageConfig, profile: ContainerProfile): Expected["user"] {
  const user = container.user ?? numericUser(image.user) ?? (profile.nonRoot ? UNPRIVILEGED : undefined);
  if (!profile.nonRoot || user === undefined || (user.uid !== 0 && user.gid !== 0)) return user;
  if (container.user !== undefined)
    throw new CofferdamError("SECURITY_VIOLATION", `level ${profile.level} runs no job as root`, {
      details: { control: "user" },
      hint: "leave the user out, or give one above 0",
    });
  return UNPRIVILEGED;
}

function numericUser(user: string): Expected["user"] {
  const match = /^(\d{1,9}):(\d{1,9})$/.exec(user);
  return match === null ? undefined : { uid: Number(match[1]), gid: Number(match[2]) };
}

/** A name without `=` takes the image's variable of that name away (moby: ReplaceOrAppendEnvVars). */
function environmentOf(container: JobContainer, image: ImageConfig, profile: ContainerProfile, user: Expected["user"]): { env: string[]; body: string[] } {
  // Of a user that only the image knows, the engine looks the home up.
  const home = profile.readOnlyRoot ? SCRATCH_HOME : user === undefined && image.user !== "" ? undefined : user === undefined || user.uid === 0 ? "/root" : "/";
  const all = new Map([
    ["PATH", DEFAULT_PATH],
    ...(home === undefined ? [] : [["HOME", home] as const]),
    ...image.env,
    ["HOSTNAME", HOSTNAME],
    ...(profile.readOnlyRoot ? [["HOME", SCRATCH_HOME] as const] : []),
    ...(container.tty ? [["TERM", "xterm"] as const] : []),
    ...Object.entries(container.env),
  ]);
  const env = [...all].map(([name, value]) => `${name}=${value}`);
  return { env, body: [...env, ...image.droppedEnv.filter((name) => name !== "" && !name.includes("\0") && !all.has(name))] };
}

function mountsOf({ folder, gate }: CreateInput, container: JobContainer): Expected["mounts"] {
  if (!isBelow(gate, folder)) refuseMount(gate, "is not in the job's own folder");
  for (const { source, target } of container.mounts) {
    if (!isBelow(source, folder)) refuseMount(source, "is not in the job's own folder", "give the job a workspace: it is brought there first");
    if (isBelow(source, gate) || isBelow(gate, source)) refuseMount(source, "is the gate's");
    refuseReserved(target);
  }
  const targets = container.mounts.map(({ target }) => target);
  for (const [index, target] of targets.entries()) if (targets.indexOf(target) !== index) refuseMount(target, "is mounted twice");
  return [
    { source: gate, target: GATE_TARGET, readOnly: true },
    // The engine's own versions of these are files on its disk that root of a container can fill.
    ...["hosts", "hostname", "resolv.conf"].map((name) => ({ source: `${gate}/${name}`, target: `/etc/${name}`, readOnly: true })),
    ...container.mounts,
  ];
}

/** The profile's folders, those of the job, and one for each volume of the image, wherever nothing is mounted already. */
function scratchOf(container: JobContainer, image: ImageConfig, profile: ContainerProfile, mounts: Expected["mounts"]): readonly Scratch[] {
  const taken = new Set(mounts.map(({ target }) => target));
  const all: Scratch[] = profile.scratch.filter(({ path }) => !taken.has(path));
  for (const path of [...container.scratch, ...image.volumes]) {
    if (taken.has(path) || all.some((one) => one.path === path)) continue;
    refuseReserved(path);
    all.push({ path, ...SCRATCH });
  }
  return all;
}

function refuseReserved(path: string): void {
  for (const reserved of RESERVED) if (isBelow(path, reserved) || isBelow(reserved, path)) refuseMount(path, `would cover ${reserved}`);
}

function bindMount({ source, target, readOnly }: Expected["mounts"][number]): Mount {
  return { Type: "bind", Source: source, Target: target, ReadOnly: readOnly, BindOptions: { Propagation: "rprivate", NonRecursive: true } };
}

/** One that only its owner may enter belongs to the job's user. */
function tmpfsOptions({ bytes, inodes, mode, exec }: Scratch, user: Expected["user"]): string {
  const owner = user === undefined || (mode & 0o077) !== 0 ? "" : `,uid=${user.uid},gid=${user.gid}`;
  return `rw,nosuid,nodev,${exec ? "exec" : "noexec"},size=${bytes},nr_inodes=${inodes},mode=${mode.toString(8)}${owner}`;
}

/** True for the folder itself too. Both are in their shortest form. */
function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
}

function refuseMount(path: string, why: string, hint?: string): never {
  throw new CofferdamError("SECURITY_VIOLATION", `mount refused: ${JSON.stringify(path.slice(0, 200))} ${why}`, {
    details: { control: "mounts" },
    ...(hint === undefined ? {} : { hint }),
  });
}
