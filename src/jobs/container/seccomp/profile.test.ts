/** The profile against an interpreter of libseccomp's rules: an allow list, read as the runtime compiles it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { REFUSED_CALLS, TERMINAL_REQUESTS } from "../../../sandbox/index.ts";
import { allBut } from "./all-but.ts";
import { ALLOWED_CALLS } from "./allowed.ts";
import { evaluate } from "./evaluate.ts";
import { seccompProfile } from "./profile.ts";

const high = seccompProfile({ architecture: "x64", tracing: false });
const low = seccompProfile({ architecture: "x64", tracing: true });

/** The one answer, in words; two rules that contradict each other would show as undefined. */
function verdict(name: string, args: readonly bigint[] = [], profile = high): string {
  const answer = evaluate(profile, name, args);
  return typeof answer === "number" ? `errno ${answer}` : String(answer);
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
    for (const name of REFUSED_CALLS) expect(verdict(name), name).toBe("errno 1");
  });

  test("what nobody listed is missing", () => {
    expect(high).toMatchObject({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 38, architectures: ["SCMP_ARCH_X86_64"] });
    for (const name of ["clone3", "statmount", "listmount", "get_mempolicy", "socketcall", "memfd_secret", "nothing_of_the_kind"])
      expect(verdict(name), name).toBe("errno 38");
  });

  test("tracing is one switch", () => {
    for (const name of ["ptrace", "process_vm_readv", "process_vm_writev"]) {
      expect(verdict(name)).toBe("errno 1");
      expect(verdict(name, [], low)).toBe("allow");
    }
    expect(verdict("pidfd_getfd", [], low)).toBe("errno 1");
  });

  test("clone makes processes and threads, but no namespace, whatever stands in the upper half", () => {
    expect(verdict("clone", [17n])).toBe("allow");
    expect(verdict("clone", [0x3d0f00n])).toBe("allow");
    for (const flag of [0x20000n, 0x2000000n, 0x4000000n, 0x8000000n, 0x10000000n, 0x20000000n, 0x40000000n]) {
      expect(verdict("clone", [flag | 17n])).toBe("errno 1");
      expect(verdict("clone", [flag | (1n << 40n)])).toBe("errno 1");
    }
  });

  test("socket families are listed; the bits that the kernel does not read help nobody", () => {
    for (const family of [1n, 2n, 10n]) expect(verdict("socket", [family, 1n, 0n])).toBe("allow");
    expect(verdict("socket", [16n, 3n, 0n])).toBe("allow");
    expect(verdict("socket", [16n, 3n, 9n])).toBe("errno 93");
    for (const family of [0n, 3n, 15n, 17n, 38n, 40n, 44n, 31n]) expect(verdict("socket", [family, 1n, 0n]), String(family)).toBe("errno 97");
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (family, protocol) => {
        const said = verdict("socket", [family, 1n, protocol]);
        expect(said).toMatch(/^(allow|errno 9[37])$/);
        expect(said === "allow").toBe([1n, 2n, 10n].includes(family) || (family === 16n && protocol === 0n));
      }),
    );
  });

  test("terminals: every request but four, by the 32 bits that the kernel reads", () => {
    expect(verdict("ioctl", [0n, 0x5413n])).toBe("allow");
    for (const request of TERMINAL_REQUESTS) {
      expect(verdict("ioctl", [0n, BigInt(request)])).toBe("errno 1");
      expect(verdict("ioctl", [0n, BigInt(request) | (1n << 33n)])).toBe("errno 1");
    }
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (request) => {
        expect(verdict("ioctl", [0n, request])).toBe(TERMINAL_REQUESTS.includes(Number(request & 0xffffffffn)) ? "errno 1" : "allow");
      }),
    );
  });

  test("personality: asking is fine, switching address randomisation off is not", () => {
    expect(verdict("personality", [0xffffffffn])).toBe("allow");
    expect(verdict("personality", [0x40000n])).toBe("errno 38");
  });
});
