/**
 * Programs with who holds them, and what all of them weigh: one is held by the process that runs it, by files that it wrote, and
 * by every program that came from it. What a fork copies are the numbers; the texts are one.
 */
import { nameOf, type ProgramFacts } from "./program.ts";

interface Texts {
  readonly bytes: number;
  holders: number;
}

export interface KeptProgram {
  readonly facts: ProgramFacts;
  readonly from: KeptProgram | undefined;
  readonly texts: Texts;
  holders: number;
}

/** Objects and places in maps that one program takes, about, bytes; and one text besides what it holds. */
const PROGRAM_BYTES = 400;
const TEXT_BYTES = 24;
const MAX_NAME = 64;

/** Not held by anybody yet. @param like has the same texts. */
export function keptProgram(facts: ProgramFacts, from: KeptProgram | undefined, like?: KeptProgram): KeptProgram {
  return { facts, from, texts: like?.texts ?? { bytes: bytesOf(facts), holders: 0 }, holders: 0 };
}

/** What runs and its name: no arguments, no folder, and nothing of where it came from. */
export function bare({ facts }: KeptProgram): KeptProgram {
  const name = nameOf(facts);
  // A part of a text keeps the whole of it; this is a text of its own.
  const own = Buffer.from(name.slice(0, MAX_NAME)).toString();
  return keptProgram({ ...facts, asked: "", args: [own], cwd: "", from: undefined }, undefined);
}

export class Weight {
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  hold(program: KeptProgram): void {
    for (let one: KeptProgram | undefined = program; one !== undefined; one = one.from) {
      if (one.holders++ > 0) return;
      this.#bytes += PROGRAM_BYTES;
      if (one.texts.holders++ === 0) this.#bytes += one.texts.bytes;
    }
  }

  release(program: KeptProgram): void {
    for (let one: KeptProgram | undefined = program; one !== undefined; one = one.from) {
      if (--one.holders > 0) return;
      this.#bytes -= PROGRAM_BYTES;
      if (--one.texts.holders === 0) this.#bytes -= one.texts.bytes;
    }
  }
}

function bytesOf({ program, asked, args, cwd }: ProgramFacts): number {
  let bytes = 0;
  for (const text of [program?.path ?? "", asked, cwd, ...args]) bytes += TEXT_BYTES + Buffer.byteLength(text);
  return bytes;
}
