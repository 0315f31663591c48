/** What an ELF file says of itself (elf(5)), 64 bits and little-endian. */

/** e_machine. */
export const MACHINE = { x64: 62, arm64: 183, bpf: 247 } as const;
const PT_INTERP = 3;
const PT_DYNAMIC = 2;

export interface Elf {
  readonly machine: number;
  /** It asks for a loader or libraries of the machine that it runs on. */
  readonly dynamic: boolean;
  section(name: string): Buffer | undefined;
}

/** Throws for what is no such file. */
export function readElf(file: Buffer): Elf {
  if (file.toString("latin1", 0, 6) !== "\x7fELF\x02\x01") throw new Error("not ELF of 64 bits, little-endian");
  const table = (at: number, size: number, count: number): Buffer[] =>
    Array.from({ length: count }, (_, i) => file.subarray(at + i * size, at + (i + 1) * size));
  const programs = table(Number(file.readBigUInt64LE(32)), file.readUInt16LE(54), file.readUInt16LE(56));
  const sections = table(Number(file.readBigUInt64LE(40)), file.readUInt16LE(58), file.readUInt16LE(60));
  const content = (header: Buffer): Buffer => {
    const at = Number(header.readBigUInt64LE(24));
    return file.subarray(at, at + Number(header.readBigUInt64LE(32)));
  };
  const names = content(sections[file.readUInt16LE(62)] ?? Buffer.alloc(64));
  const named = new Map(sections.map((header) => [textAt(names, header.readUInt32LE(0)), header]));
  return {
    machine: file.readUInt16LE(18),
    dynamic: programs.some((header) => [PT_INTERP, PT_DYNAMIC].includes(header.readUInt32LE(0))),
    section: (name) => {
      const header = named.get(name);
      return header === undefined ? undefined : content(header);
    },
  };
}

/** The one for a machine that lies inside of another file. Throws when there is none. */
export function embeddedElf(file: Buffer, machine: number): Elf {
  for (let at = file.indexOf("\x7fELF\x02\x01", 1, "latin1"); at > 0; at = file.indexOf("\x7fELF\x02\x01", at + 1, "latin1")) {
    if (file.readUInt16LE(at + 18) === machine) return readElf(file.subarray(at));
  }
  throw new Error(`nothing for machine ${machine} inside`);
}

function textAt(bytes: Buffer, at: number): string {
  return bytes.toString("latin1", at, bytes.indexOf(0, at));
}
