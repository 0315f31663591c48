/** The filter against an interpreter of its own bytes: what the kernel would decide, call by call. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OBSERVED, REFUSED, seccompFilter } from "./filter.ts";
import { type Architecture, AUDIT_ARCH, type SyscallName, syscallNumber } from "./syscalls.ts";

interface Call {
  readonly nr: number;
  readonly arch: number;
  readonly args: readonly bigint[];
}

/** Runs a filter as the kernel does. Throws on anything that kernel/seccomp.c would refuse to load. */
function decide(filter: Buffer, call: Call): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.nr >>> 0, 0);
  data.writeUInt32LE(call.arch >>> 0, 4);
  for (const [i, value] of call.args.entries()) data.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + i * 8);
  let accumulator = 0;
  for (let at = 0; at < filter.length / 8; at++) {
    const code = filter.readUInt16LE(at * 8);
    const [jt, jf, k] = [filter.readUInt8(at * 8 + 2), filter.readUInt8(at * 8 + 3), filter.readUInt32LE(at * 8 + 4)];
    if (code === 0x06) return k;
    if (code === 0x20) {
      if (k % 4 !== 0 || k > 60) throw new Error(`load at ${k}`);
      accumulator = data.readUInt32LE(k);
    } else if (code === 0x15) at += accumulator === k ? jt : jf;
    else if (code === 0x35) at += accumulator >= k ? jt : jf;
    else if (code === 0x45) at += (accumulator & k) !== 0 ? jt : jf;
    else throw new Error(`instruction ${code}`);
  }
  throw new Error("fell off the end");
}

const ALLOW = 0x7fff0000;
const ASK = 0x7fc00000;
const KILL = 0x80000000;
const errno = (value: number): number => 0x50000 + value;
const ARCHITECTURES: readonly Architecture[] = ["x64", "arm64"];

describe.each(ARCHITECTURES)("%s", (architecture) => {
  const filter = seccompFilter({ architecture, unixSockets: false, observe: "all" });
  const open = seccompFilter({ architecture, unixSockets: true, observe: "writes" });
  const arch = AUDIT_ARCH[architecture];
  const verdict = (name: SyscallName, args: readonly (number | bigint)[] = [], bytes = filter): number => {
    const nr = syscallNumber(name, architecture);
    return nr === undefined ? Number.NaN : decide(bytes, { nr, arch, args: args.map(BigInt) });
  };

  test("hands each named call to the listener, which refuses it, whatever its arguments", () => {
    for (const name of REFUSED) {
      if (syscallNumber(name, architecture) === undefined) continue;
      expect(verdict(name, [1, 2, 3, 4, 5, 6]), name).toBe(ASK);
    }
  });

  test("another architecture is killed, and on x86-64 the x32 table too", () => {
    const other = AUDIT_ARCH[architecture === "x64" ? "arm64" : "x64"];
    expect(decide(filter, { nr: 0, arch: other, args: [] })).toBe(KILL);
    expect(decide(filter, { nr: 0, arch: 0x40000003, args: [] })).toBe(KILL);
    if (architecture === "x64") expect(decide(filter, { nr: 0x40000000 + 1, arch, args: [] })).toBe(KILL);
  });

  test("clone3 is missing; clone makes threads and processes but no namespace", () => {
    expect(verdict("clone3")).toBe(errno(38));
    expect(verdict("clone", [0x3d0f00])).toBe(ALLOW);
    expect(verdict("clone", [17])).toBe(ALLOW);
    for (const flag of [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000])
      expect(verdict("clone", [flag | 17]), String(flag)).toBe(ASK);
    expect(verdict("clone", [0x10000000n | (1n << 40n)])).toBe(ASK);
  });

  test("socket families: internet and route netlink; unix only by grant, pairs always", () => {
    for (const family of [2, 10]) expect(verdict("socket", [family, 1, 0])).toBe(ALLOW);
    expect(verdict("socket", [16, 3, 0])).toBe(ALLOW);
    // NETLINK_AUDIT, a packet socket, AF_ALG, AF_VSOCK, AF_XDP, AF_BLUETOOTH.
    for (const [family, protocol] of [
      [16, 9],
      [17, 3],
      [38, 0],
      [40, 0],
      [44, 0],
      [31, 0],
      [1, 0],
    ] as const)
      expect(verdict("socket", [family, 1, protocol]), String(family)).toBe(errno(97));
    expect(verdict("socket", [1, 1, 0], open)).toBe(ALLOW);
    expect(verdict("socketpair", [1, 1, 0])).toBe(ALLOW);
    expect(verdict("socketpair", [30, 1, 0])).toBe(errno(97));
    // The kernel takes an int: bits above do not make it another family.
    expect(verdict("socket", [17n | (7n << 32n), 1, 0])).toBe(errno(97));
  });

  test("terminals: sizes can be asked, nothing can be typed", () => {
    expect(verdict("ioctl", [0, 0x5413])).toBe(ALLOW);
    expect(verdict("ioctl", [0, 0x5412])).toBe(ASK);
    expect(verdict("ioctl", [0, 0x5412n | (1n << 33n)])).toBe(ASK);
  });

  test("personality: asking is fine, switching address randomisation off is not", () => {
    expect(verdict("personality", [0xffffffff])).toBe(ALLOW);
    expect(verdict("personality", [0x0040000])).toBe(ASK);
  });

  test("opens: all of them are seen, or only those that write", () => {
    expect(verdict("openat", [0, 0, 0])).toBe(ASK);
    expect(verdict("openat", [0, 0, 0], open)).toBe(ALLOW);
    for (const flags of [1, 2, 0x40, 0x200, 0x80241]) expect(verdict("openat", [0, 0, flags], open), String(flags)).toBe(ASK);
    expect(verdict("openat2", [], open)).toBe(ASK);
    expect(verdict("connect")).toBe(ASK);
    expect(verdict("sendto", [0, 0, 0, 0, 0, 0])).toBe(ALLOW);
    expect(verdict("sendto", [0, 0, 0, 0, 1n << 40n, 16])).toBe(ASK);
  });

  test("property: every program ends, and what is not named is allowed", () => {
    const names: readonly SyscallName[] = [
      ...REFUSED,
      ...OBSERVED,
      "open",
      "clone",
      "clone3",
      "socket",
      "socketpair",
      "ioctl",
      "personality",
      "openat",
      "sendto",
    ];
    const named = new Set(names.map((name) => syscallNumber(name, architecture)));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 600 }), fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 6, maxLength: 6 }), (nr, args) => {
        const action = decide(filter, { nr, arch, args });
        if (!named.has(nr)) expect(action).toBe(ALLOW);
      }),
    );
  });
});
