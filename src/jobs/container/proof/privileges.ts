/** What process 1 may do: capabilities, no-new-privileges, the filter, its user, its namespaces. Source: proc_pid_status(5), capabilities(7). */
import type { Expected } from "../create-body.ts";
import type { Probes } from "../gate.ts";
import { evaluate } from "../seccomp/evaluate.ts";
import type { Controls } from "./control.ts";
import { type Namespace, ProcessView } from "./process-view.ts";

/** include/uapi/linux/capability.h: the place in the list is the bit. */
const CAPABILITIES = `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST
  NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
  SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF
  CHECKPOINT_RESTORE`.split(/\s+/);
/** What each question of native/shim/probe.c asks, for the profile to be asked the same. */
const QUESTIONS: Readonly<Record<string, { readonly name: string; readonly args: readonly bigint[] }>> = {
  clone: { name: "clone", args: [0x10000200n] },
  ioctl: { name: "ioctl", args: [-1n, 0x5412n] },
  "socket packet": { name: "socket", args: [17n, 3n, 0n] },
  "socket alg": { name: "socket", args: [38n, 5n, 0n] },
  "socket vsock": { name: "socket", args: [40n, 1n, 0n] },
  "socket vsock, upper bits": { name: "socket", args: [40n | (1n << 32n), 1n, 0n] },
  "socket netlink audit": { name: "socket", args: [16n, 3n, 9n] },
};
const SIMPLE = ["io_uring_setup", "bpf", "keyctl", "add_key", "request_key", "userfaultfd", "perf_event_open", "unshare", "setns", "mount"].concat([
  "open_tree",
  "name_to_handle_at",
  "pidfd_getfd",
  "ptrace",
  "process_vm_readv",
  "clone3",
]);
const SECCOMP_FILTER = "2";

export function provePrivileges(controls: Controls, view: ProcessView, expected: Expected, probes: Probes): void {
  const status = view.text("status");
  const field = (name: string): string => view.field(status, name);
  proveCapabilities(controls, field, expected);
  const noNew = field("NoNewPrivs") === "1";
  controls.check(
    "no-new-privileges",
    "no-new-privileges",
    expected.profile.noNewPrivileges ? "on" : "any",
    noNew ? "on" : "off",
    noNew || !expected.profile.noNewPrivileges,
  );
  controls.holds("no-new-privileges", noNew);
  controls.equal("seccomp", "mode", SECCOMP_FILTER, field("Seccomp"));
  controls.check("seccomp", "filters", "1 or more", field("Seccomp_filters"), /^[1-9]\d*$/.test(field("Seccomp_filters")) || field("Seccomp_filters") === "");
  proveFilter(controls, expected, probes);
  proveUser(controls, field, expected);
  proveNamespaces(controls, view, field("PPid"));
}

function proveCapabilities(controls: Controls, field: (name: string) => string, { profile }: Expected): void {
  const given = profile.capabilities.join(" ") || "none";
  const root = field("Uid").split(" ")[0] === "0";
  controls.equal("capabilities", "bounding set", given, capabilityNames(field("CapBnd")));
  for (const [what, name] of [
    ["effective", "CapEff"],
    ["permitted", "CapPrm"],
  ] as const)
    controls.equal("capabilities", what, root ? given : "none", capabilityNames(field(name)));
  for (const [what, name] of [
    ["inheritable", "CapInh"],
    ["ambient", "CapAmb"],
  ] as const)
    controls.equal("capabilities", what, "none", capabilityNames(field(name)));
  controls.holds("capabilities", true);
}

/** Asked from inside, by a program of ours that the image could not change: each answer must be the profile's. */
function proveFilter(controls: Controls, { profile }: Expected, probes: Probes): void {
  const asked = new Map([...SIMPLE.map((name) => [name, { name, args: [] as readonly bigint[] }] as const), ...Object.entries(QUESTIONS)]);
  for (const [question, { name, args }] of asked) {
    const wanted = evaluate(profile.seccomp, name, args);
    const answer = probes[question];
    const actual = answer === undefined ? "not asked" : `errno ${answer}`;
    // Allowed, the kernel itself answers, each kernel in its way.
    if (wanted === "allow") controls.check("seccomp", question, "the kernel's answer", actual, answer !== undefined);
    else controls.equal("seccomp", question, `errno ${wanted}`, actual);
  }
  controls.holds("seccomp", true);
}

function proveUser(controls: Controls, field: (name: string) => string, { user, profile }: Expected): void {
  const [uids, gids] = [field("Uid").split(" "), field("Gid").split(" ")];
  const [uid = "", gid = ""] = [uids[0], gids[0]];
  const wanted = user === undefined ? "the image's" : `${user.uid}:${user.gid}`;
  const settled = uids.every((one) => one === uid) && gids.every((one) => one === gid);
  controls.check(
    "non-root",
    "user",
    wanted,
    settled ? `${uid}:${gid}` : `${uids.join("/")}:${gids.join("/")}`,
    settled && (user === undefined || wanted === `${uid}:${gid}`),
  );
  controls.check(
    "non-root",
    "uid 0",
    profile.nonRoot ? "no" : "any",
    uid === "0" || gid === "0" ? "yes" : "no",
    !profile.nonRoot || (uid !== "0" && gid !== "0"),
  );
  const groups = field("Groups")
    .split(" ")
    .filter((group) => group !== "" && group !== gid);
  // The image's /etc/group decides for a user that only it knows.
  controls.check(
    "non-root",
    "more groups",
    user === undefined ? "the image's" : "none",
    groups.join(" ") || "none",
    user === undefined ? !profile.nonRoot : groups.length === 0,
  );
  controls.holds("non-root", uid !== "0" && gid !== "0");
}

/**
 * Against ours, and against those of the machine's first process and of the engine's process above it, of which at least one
 * must be visible: we may ourselves be in namespaces that are not the host's.
 */
function proveNamespaces(controls: Controls, view: ProcessView, parent: string): void {
  const own = view.namespaces();
  const hosts = [1, Number(parent)].flatMap((pid) => namespacesOf(pid) ?? []);
  const others = [...hosts, ...[process.pid].flatMap((pid) => namespacesOf(pid) ?? [])];
  for (const name of ["cgroup", "ipc", "mnt", "net", "pid", "uts"] as const) {
    const shared = others.some((other) => other[name] === own[name]);
    const actual = shared ? "shared with the host" : hosts.length === 0 ? "not checked: the host's cannot be seen" : "its own";
    controls.equal("namespaces", name, "its own", actual);
  }
  controls.holds("namespaces", true);
  controls.holds("user-namespace", hosts.length > 0 && others.every((other) => other.user !== own.user) && !/^\s*0\s+0\s/m.test(view.text("uid_map")));
}

/** Undefined for a process with more capabilities than we have, which cannot be looked into. */
function namespacesOf(pid: number): Readonly<Record<Namespace, string>> | undefined {
  try {
    using view = new ProcessView(pid);
    return view.namespaces();
  } catch {
    return undefined;
  }
}

function capabilityNames(hex: string): string {
  if (!/^[0-9a-f]{1,16}$/.test(hex)) return "unknown";
  const bits = BigInt(`0x${hex}`);
  const names: string[] = [];
  for (let bit = 0n; bit < 64n; bit++) if ((bits >> bit) & 1n) names.push(CAPABILITIES[Number(bit)] ?? `bit ${bit}`);
  return names.toSorted().join(" ") || "none";
}
