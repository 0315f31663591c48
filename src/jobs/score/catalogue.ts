/**
 * The control catalogue of the score: what is counted, how much, and which record proves it. The source of docs/score.md; a
 * test keeps them the same. Rooms that are not built yet stand here already: what is absent lowers the score.
 */

/** What is counted: jobs, and guarded installs. */
export const UNIT_KINDS = ["job", "install"] as const;
export type UnitKind = (typeof UNIT_KINDS)[number];

export interface Control {
  /** `job.` or `install.` and a name. */
  readonly id: string;
  readonly kind: UnitKind;
  /** 1 to 10: what an attacker gains when it is missing. */
  readonly weight: number;
  /** What has to be on record for a unit to count as proven. */
  readonly proof: string;
}

const job = (name: string, weight: number, proof: string): Control => ({ id: `job.${name}`, kind: "job", weight, proof });
const install = (name: string, weight: number, proof: string): Control => ({ id: `install.${name}`, kind: "install", weight, proof });

export const CATALOGUE: readonly Control[] = [
  job("enforced", 4, "its policy was enforced, not only observed"),
  job("authenticated", 3, "who asked for it was established by the kernel, a session, a token or OIDC"),
  job("authorized", 5, "a role gave that identity the right to run jobs in the repository"),
  job("image-scanned", 8, "its image was scanned with fresh advisories, and judged"),
  job("image-pinned", 4, "its image was named by digest"),
  job("proven-before-start", 5, "every control of its container was read from the kernel before the workload ran, and was as asked"),
  job("namespaces", 6, "it shared no namespace of the host"),
  job("user-namespace", 3, "its root was nobody on the host"),
  job("mounts", 4, "it had the mounts it was given and no other: no engine socket, nothing of the host"),
  job("devices", 4, "it had the devices of every container and no other"),
  job("capabilities", 5, "its capabilities were those of the profile, none more"),
  job("no-new-privileges", 4, "set-user-id programs gave it nothing"),
  job("seccomp", 5, "the filter of system calls was on"),
  job("non-root", 4, "it did not run as uid 0"),
  job("read-only-root", 3, "its image could not be written"),
  job("masked-paths", 2, "what /proc and /sys show of the host was hidden or read-only"),
  job("memory-limit", 3, "the kernel bounded its memory"),
  job("cpu-limit", 1, "the kernel bounded or weighed its cpu time"),
  job("pids-limit", 2, "the kernel bounded its processes"),
  job("disk-limit", 2, "its disk space was bounded by the file system, not only watched"),
  job("network-isolation", 8, "it had no network, or one that reached what was allowed and nothing else"),
  job("secrets", 4, "secrets came as files in memory, for this job only, and were masked in its output"),
  job("monitored", 8, "it was watched from the host by kernel events, without a gap"),
  job("output-bounded", 1, "what was kept of its output was bounded"),
  job("workspace-confined", 2, "it had no more of the host than its workspace, which was resolved by file descriptor"),
  job("workspace-copied", 2, "its workspace was a copy, and what came back followed no link"),
  job("cleaned-up", 2, "its container, mounts and reservations were gone afterwards"),
  job("recorded", 3, "it was on record before it started, and its outcome after"),
  job("record-verified", 4, "its records were verified in the audit trail's chain"),
  job("record-anchored", 4, "a checkpoint kept elsewhere covers its records"),
  install("enforced", 4, "its policy was enforced, not only observed"),
  install("integrity", 8, "every tarball had the hash that the lockfile names"),
  install("boxed", 6, "the client ran in a box with no network but the gate"),
  install("compared", 5, "the tree on disk was compared with the verified packages"),
  install("scripts-jailed", 8, "every install script that ran did so in a jail"),
  install("advisories-fresh", 6, "it was judged against advisories as fresh as the level asks"),
  install("signatures", 4, "registry signatures were verified"),
  install("provenance", 3, "attestations of provenance were verified"),
  install("age", 3, "the age of new versions was looked at"),
  install("recorded", 3, "the judged set was on record before the client started, and the outcome after"),
  install("record-verified", 4, "its records were verified in the audit trail's chain"),
  install("record-anchored", 4, "a checkpoint kept elsewhere covers its records"),
];
