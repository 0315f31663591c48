/**
 * What a sensor of processes is measured with: acts of intruders, each a script that does its act in a container for real and
 * lets it be seen. Their names are those of the syscall actions that falcosecurity/event-generator publishes for containers;
 * scripts are our own. The list and the scripts stand before the rules do: what is measured was not chosen by what is caught.
 *
 * Not here, of the published names: those that need a host or a cluster (LaunchSuspiciousNetworkToolOnHost,
 * ExfiltratingArtifactsViaKubernetesControlPlane), and DisallowedSSHConnection, the older name of one that is here.
 */

export interface Action {
  readonly name: string;
  /** For bash, in a container of {@link ../actions/world.ts}. */
  readonly script: string;
  /** What its output shows when the act was done. */
  readonly shows?: RegExp;
  /** Paths that are other than in the image afterwards, as the engine sees it. */
  readonly changes?: readonly string[];
  /** The same act by a copy of the program under another name. */
  readonly renamed?: string;
  readonly capabilities?: readonly string[];
  readonly terminal?: boolean;
  readonly user?: string;
  /** Calls that the engine's own filter refuses are what is to be seen. */
  readonly unfiltered?: boolean;
}

/** Text of files that only the act can have read. */
export const MARK = "k7Qx2-read-from-the-file";
/** Who answers outside: see world.ts. */
export const INTRUDER = "203.0.113.7";

/** Numbers of calls, where perl has no name for them. */
const NUMBERS = {
  x64: { execve: 59, ptrace: 101, setns: 308, memfd_create: 319, userfaultfd: 323, init_module: 175 },
  arm64: { execve: 221, ptrace: 117, setns: 268, memfd_create: 279, userfaultfd: 282, init_module: 105 },
} as const;
export const CALL: Readonly<Record<keyof typeof NUMBERS.x64, number>> = process.arch === "arm64" ? NUMBERS.arm64 : NUMBERS.x64;
