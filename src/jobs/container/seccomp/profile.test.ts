/** The profile against an interpreter of libseccomp's rules: an allow list, read as the runtime compiles it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { REFUSED_CALLS, TERMINAL_REQUESTS } from "../../../sandbox/index.ts";
import { allBut } from "./all-but.ts";
import { ALLOWED_CALLS } from "./allowed.ts";
import { type SeccompCondition, seccompProfile } from "./profile.ts";

const high = seccompProfile({ architecture: "x64", tracing: false });
const low = seccompProfile({ architecture: "x64", tracing: true });

/** The actions of every rule that matches; the profile is sound only when they all say the same. */
function verdicts(name: string, args: readonly bigint[] = [], profile = high): string[] {
  const found = profile.syscalls.filter((rule) => rule.names.includes(name) && (rule.args ?? []).every((condition) => matches(condition, args)));
  return [...new Set(found.map(({ action, errnoRet }) => (action === "SCMP_ACT_ALLOW" ? "allow" : `errno ${errnoRet}`)))];
}

function matches({ index, op, value, valueTwo }: SeccompCondition, args: readonly bigint[]): boolean {
  const argument = BigInt.asUintN(64, args[index] ?? 0n);
  if (op === "SCMP_CMP_EQ") return argument === BigInt(value);
  if (op === "SCMP_CMP_NE") return argument !== BigInt(value);
  if (op === "SCMP_CMP_GT") return argument > BigInt(value);
  return (argument & BigInt(value)) === BigInt(valueTwo);
}

test("property: all but some numbers is just that, in comparisons that do not overlap", () => {
  const word = fc.integer({ min: 0, max: 0xffffffff });
  fc.assert(
    fc.property(fc.uniqueArray(word, { maxLength: 6 }), fc.array(word, { minLength: 1, maxLength: 20 }), (left, probes) => {
      const branches = allBut(left);
      for (const probe of [...probes, ...left, ...left.map((one) => (one ^ 1) >>> 0)]) {
        const hits = branches.filter(({ mask, value }) => (probe & mask) >>> 0 === value).length;
        expect(hits).toBe(left.includes(probe) ? 0 : 1);
      }
      expect(branches.length).toBeLessThanOrEqual(Math.max(1, 32 * left.length));
    }),
  );
});

describe("the profile", () => {
  test("nothing that the jail refuses is allowed, and no name stands twice", () => {
    expect(ALLOWED_CALLS.filter((name) => REFUSED_CALLS.some((refused) => refused === name))).toEqual([]);
    expect(new Set(ALLOWED_CALLS).size).toBe(ALLOWED_CALLS.length);
    for (const name of REFUSED_CALLS) expect(verdicts(name), name).toEqual(["errno 1"]);
  });

  test("what nobody listed is missing", () => {
    expect(high).toMatchObject({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 38, architectures: ["SCMP_ARCH_X86_64"] });
    for (const name of ["clone3", "statmount", "listmount", "get_mempolicy", "socketcall", "memfd_secret", "nothing_of_the_kind"])
      expect(verdicts(name), name).toEqual([]);
  });

  test("tracing is one switch", () => {
    for (const name of ["ptrace", "process_vm_readv", "process_vm_writev"]) {
      expect(verdicts(name)).toEqual(["errno 1"]);
      expect(verdicts(name, [], low)).toEqual(["allow"]);
    }
    expect(verdicts("pidfd_getfd", [], low)).toEqual(["errno 1"]);
  });

  test("clone makes processes and threads, but no namespace, whatever stands in the upper half", () => {
    expect(verdicts("clone", [17n])).toEqual(["allow"]);
    expect(verdicts("clone", [0x3d0f00n])).toEqual(["allow"]);
    for (const flag of [0x20000n, 0x2000000n, 0x4000000n, 0x8000000n, 0x10000000n, 0x20000000n, 0x40000000n]) {
      expect(verdicts("clone", [flag | 17n])).toEqual(["errno 1"]);
      expect(verdicts("clone", [flag | (1n << 40n)])).toEqual(["errno 1"]);
    }
  });

  test("socket families are listed; the bits that the kernel does not read help nobody", () => {
    for (const family of [1n, 2n, 10n]) expect(verdicts("socket", [family, 1n, 0n])).toEqual(["allow"]);
    expect(verdicts("socket", [16n, 3n, 0n])).toEqual(["allow"]);
    expect(verdicts("socket", [16n, 3n, 9n])).toEqual(["errno 93"]);
    for (const family of [0n, 3n, 15n, 17n, 38n, 40n, 44n, 31n]) expect(verdicts("socket", [family, 1n, 0n]), String(family)).toEqual(["errno 97"]);
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (family, protocol) => {
        const said = verdicts("socket", [family, 1n, protocol]);
        expect(said).toHaveLength(1);
        expect(said[0] === "allow").toBe([1n, 2n, 10n].includes(family) || (family === 16n && protocol === 0n));
      }),
    );
  });

  test("terminals: every request but four, by the 32 bits that the kernel reads", () => {
    expect(verdicts("ioctl", [0n, 0x5413n])).toEqual(["allow"]);
    for (const request of TERMINAL_REQUESTS) {
      expect(verdicts("ioctl", [0n, BigInt(request)])).toEqual(["errno 1"]);
      expect(verdicts("ioctl", [0n, BigInt(request) | (1n << 33n)])).toEqual(["errno 1"]);
    }
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (request) => {
        expect(verdicts("ioctl", [0n, request])).toEqual([TERMINAL_REQUESTS.includes(Number(request & 0xffffffffn)) ? "errno 1" : "allow"]);
      }),
    );
  });

  test("personality: asking is fine, switching address randomisation off is not", () => {
    expect(verdicts("personality", [0xffffffffn])).toEqual(["allow"]);
    expect(verdicts("personality", [0x40000n])).toEqual([]);
  });
});
