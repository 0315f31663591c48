/**
 * The seccomp profile of a job's container, in the form that the engine takes (`seccomp=` of SecurityOpt): an allow-list.
 * What the jail on the host refuses is refused here in the same words and answers EPERM; what nobody listed is missing.
 *
 * The runtime compiles it with libseccomp, where conditions of several rules for one call are alternatives. A condition
 * compares all 64 bits of an argument unless it is masked, and the kernel often reads only 32: "not family 40" could be passed
 * with a bit set above them. So every condition here says what is allowed, never what is not.
 */
import { CLONE_NAMESPACES, PERSONALITIES, REFUSED_CALLS, TERMINAL_REQUESTS } from "../../../sandbox/index.ts";
import { allBut } from "./all-but.ts";
import { ALLOWED_CALLS, MISSING_CALLS } from "./allowed.ts";

export type SeccompAction = "SCMP_ACT_ALLOW" | "SCMP_ACT_ERRNO";

/** The call's argument `index`, compared. For SCMP_CMP_MASKED_EQ `value` is the mask and `valueTwo` what must be left of it. */
export interface SeccompCondition {
  readonly index: number;
  readonly value: number;
  readonly valueTwo: number;
  readonly op: "SCMP_CMP_EQ" | "SCMP_CMP_GT" | "SCMP_CMP_NE" | "SCMP_CMP_MASKED_EQ";
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: SeccompAction;
  readonly errnoRet?: number;
  readonly args?: readonly SeccompCondition[];
}

/** docker's profile format (profiles/seccomp of moby), the part that we use. */
export interface SeccompProfile {
  readonly defaultAction: SeccompAction;
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

export interface SeccompOptions {
  readonly architecture: "x64" | "arm64";
  /** Lets processes of one container look into each other: debuggers, strace, leak sanitizers. */
  readonly tracing: boolean;
}

const EPERM = 1;
const ENOSYS = 38;
const EPROTONOSUPPORT = 93;
const EAFNOSUPPORT = 97;
/** Native calls only: a call by another architecture's table ends the process. */
const ARCHITECTURES = { x64: "SCMP_ARCH_X86_64", arm64: "SCMP_ARCH_AARCH64" } as const;
const AF = { unix: 1, inet: 2, inet6: 10, netlink: 16 } as const;
/** What a debugger needs. Refused, they answer EPERM like the rest of the jail's list. */
const TRACING: readonly string[] = ["ptrace", "process_vm_readv", "process_vm_writev"];

/** The profile. Serialise it with JSON.stringify; it is the same text for the same options. */
export function seccompProfile(options: SeccompOptions): SeccompProfile {
  const tracing = options.tracing ? TRACING : [];
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: ENOSYS,
    architectures: [ARCHITECTURES[options.architecture]],
    syscalls: [
      allow([...ALLOWED_CALLS, ...tracing]),
      refuse(
        REFUSED_CALLS.filter((name) => !tracing.includes(name)),
        EPERM,
      ),
      refuse(MISSING_CALLS, ENOSYS),
      ...clones(),
      ...PERSONALITIES.map((persona) => allow(["personality"], equal(0, persona))),
      ...terminals(),
      ...sockets(),
    ],
  };
}

/** Processes and threads, but no namespaces: all of those bits clear. */
function clones(): SeccompRule[] {
  const rules = [allow(["clone"], masked(0, CLONE_NAMESPACES, 0))];
  for (let bit = 1; bit <= CLONE_NAMESPACES; bit *= 2) {
    if ((CLONE_NAMESPACES & bit) !== 0) rules.push(refuse(["clone"], EPERM, masked(0, bit, bit)));
  }
  return rules;
}

/** Every request but those that type into a terminal or re-route it. */
function terminals(): SeccompRule[] {
  return [
    ...allBut(TERMINAL_REQUESTS).map(({ mask, value }) => allow(["ioctl"], masked(1, mask, value))),
    ...TERMINAL_REQUESTS.map((request) => refuse(["ioctl"], EPERM, masked(1, 0xffffffff, request))),
  ];
}

/** Local, internet, and route netlink (getifaddrs asks there): no packets, no vsock, no crypto, no bluetooth, no can. */
function sockets(): SeccompRule[] {
  const rules = [AF.unix, AF.inet, AF.inet6].map((family) => allow(["socket"], equal(0, family)));
  rules.push(allow(["socket"], equal(0, AF.netlink), equal(2, 0)));
  rules.push(refuse(["socket"], EPROTONOSUPPORT, equal(0, AF.netlink), { index: 2, value: 0, valueTwo: 0, op: "SCMP_CMP_NE" }));
  const known: readonly number[] = Object.values(AF);
  for (let family = 0; family < AF.netlink; family++) {
    if (!known.includes(family)) rules.push(refuse(["socket"], EAFNOSUPPORT, equal(0, family)));
  }
  rules.push(refuse(["socket"], EAFNOSUPPORT, { index: 0, value: AF.netlink, valueTwo: 0, op: "SCMP_CMP_GT" }));
  return rules;
}

function allow(names: readonly string[], ...args: readonly SeccompCondition[]): SeccompRule {
  return { names, action: "SCMP_ACT_ALLOW", ...(args.length === 0 ? {} : { args }) };
}

function refuse(names: readonly string[], errnoRet: number, ...args: readonly SeccompCondition[]): SeccompRule {
  return { names, action: "SCMP_ACT_ERRNO", errnoRet, ...(args.length === 0 ? {} : { args }) };
}

function equal(index: number, value: number): SeccompCondition {
  return { index, value, valueTwo: 0, op: "SCMP_CMP_EQ" };
}

function masked(index: number, mask: number, left: number): SeccompCondition {
  return { index, value: mask, valueTwo: left, op: "SCMP_CMP_MASKED_EQ" };
}
