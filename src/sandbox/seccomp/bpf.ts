/**
 * Classic BPF as seccomp runs it: an assembler with labels, and struct sock_filter bytes.
 * Source: include/uapi/linux/{filter,bpf_common,seccomp}.h; Documentation/userspace-api/seccomp_filter.rst.
 */

const LD_W_ABS = 0x20;
const JMP_JEQ_K = 0x15;
const JMP_JGE_K = 0x35;
const JMP_JSET_K = 0x45;
const RET_K = 0x06;
const INSTRUCTION = 8;
/** BPF_MAXINSNS. */
const MAX_INSTRUCTIONS = 4096;
/** Jump distances are one byte. */
const MAX_JUMP = 255;

export const ALLOW = 0x7fff0000;
export const KILL_PROCESS = 0x80000000;
const RET_ERRNO = 0x00050000;
/** The call waits until the listener of the filter answers; without one it fails with ENOSYS. */
export const ASK_LISTENER = 0x7fc00000;

/** The call fails with this errno and is not made. */
export function fail(errno: number): number {
  return RET_ERRNO | errno;
}

/** Offsets in struct seccomp_data: nr, arch, then six 64-bit arguments, little-endian. */
export const OFFSET = { number: 0, architecture: 4, argument: (index: number): number => 16 + index * 8 } as const;

/** Where a test goes on; `next` is the following instruction. */
export type Target = string | "next";

interface Instruction {
  readonly code: number;
  readonly k: number;
  readonly onTrue: Target;
  readonly onFalse: Target;
}

/** Collects instructions and labels; {@link bytes} resolves the jumps. */
export class Program {
  readonly #instructions: Instruction[] = [];
  readonly #labels = new Map<string, number>();

  label(name: string): this {
    this.#labels.set(name, this.#instructions.length);
    return this;
  }

  /** Loads 32 bits of seccomp_data. */
  load(offset: number): this {
    return this.#add(LD_W_ABS, offset, "next", "next");
  }

  ifEqual(value: number, onTrue: Target, onFalse: Target = "next"): this {
    return this.#add(JMP_JEQ_K, value, onTrue, onFalse);
  }

  ifAtLeast(value: number, onTrue: Target, onFalse: Target = "next"): this {
    return this.#add(JMP_JGE_K, value, onTrue, onFalse);
  }

  ifAnyBit(mask: number, onTrue: Target, onFalse: Target = "next"): this {
    return this.#add(JMP_JSET_K, mask, onTrue, onFalse);
  }

  return(action: number): this {
    return this.#add(RET_K, action, "next", "next");
  }

  get length(): number {
    return this.#instructions.length;
  }

  /** struct sock_filter[]: u16 code, u8 jt, u8 jf, u32 k, little-endian. Throws RangeError for a jump that cannot be encoded. */
  bytes(): Buffer {
    if (this.#instructions.length > MAX_INSTRUCTIONS) throw new RangeError(`a filter of ${this.#instructions.length} instructions`);
    const bytes = Buffer.alloc(this.#instructions.length * INSTRUCTION);
    for (const [at, { code, k, onTrue, onFalse }] of this.#instructions.entries()) {
      bytes.writeUInt16LE(code, at * INSTRUCTION);
      bytes.writeUInt8(this.#distance(at, onTrue), at * INSTRUCTION + 2);
      bytes.writeUInt8(this.#distance(at, onFalse), at * INSTRUCTION + 3);
      bytes.writeUInt32LE(k >>> 0, at * INSTRUCTION + 4);
    }
    return bytes;
  }

  #add(code: number, k: number, onTrue: Target, onFalse: Target): this {
    this.#instructions.push({ code, k, onTrue, onFalse });
    return this;
  }

  #distance(at: number, target: Target): number {
    if (target === "next") return 0;
    const to = this.#labels.get(target);
    const distance = to === undefined ? -1 : to - at - 1;
    if (distance < 0 || distance > MAX_JUMP) throw new RangeError(`no jump from instruction ${at} to ${target}`);
    return distance;
  }
}
