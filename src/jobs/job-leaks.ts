/**
 * Secrets in what a job said and made that nobody had registered: looked for as output comes and when results are taken over,
 * told as threats at its end. Those that were registered are masked before this sees them.
 */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../foundation/index.ts";
import type { Allowance, EffectivePolicy } from "../policy/index.ts";
import { type Leak, LeakFinder, type LeakReport } from "../secrets/index.ts";
import type { JobLeakScan } from "./report/schema.ts";
import { SEVERITIES, type ThreatInput } from "./threats/threat.ts";

/** Of the results of one job. */
const MOST_FILES = 500;
const MOST_FILE_BYTES: number = 8 * 2 ** 20;
const MOST_BYTES: number = 64 * 2 ** 20;
/** Threats that one job makes; the worst. */
const MOST_TOLD = 20;
const PIECE: number = 256 * 1024;

interface PlacedLeak extends Leak {
  /** `output`, or a path in the workspace. */
  readonly where: string;
}

export interface FoundLeaks {
  readonly scan: JobLeakScan;
  /** The worst first. */
  readonly threats: readonly ThreatInput[];
  /** Those that an exception of the policy accepts, with it. */
  readonly accepted: readonly (PlacedLeak & { readonly exception: Allowance })[];
}

export class JobLeaks {
  readonly #clock: Clock;
  readonly #output: LeakFinder;
  readonly #found: PlacedLeak[] = [];
  readonly #notLookedAt: string[] = [];
  #more = 0;
  #files = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#output = new LeakFinder(clock.now());
  }

  /** Output as it is shown and kept: places are those of the kept log. */
  heard(bytes: Buffer): void {
    this.#output.write(bytes);
  }

  /**
   * Results of a copy, where nothing runs any more. @param folder of ours, without links on the way to `paths`.
   * @param more results whose names are not among `paths`.
   */
  async look(folder: string, paths: readonly string[], more: number): Promise<void> {
    let room = MOST_BYTES;
    let left = more;
    for (const [index, path] of paths.entries()) {
      const report = index < MOST_FILES && room > 0 ? await leaksIn(join(folder, path), Math.min(room, MOST_FILE_BYTES), this.#clock) : undefined;
      if (report === undefined) {
        left++;
        continue;
      }
      this.#files++;
      room -= report.bytes;
      this.#note(path, report);
    }
    if (left > 0) this.#notLookedAt.push(`${left} of ${paths.length + more} results: too large, too many, or not readable`);
  }

  /** What nobody looks through. */
  leaveOut(what: string): void {
    this.#notLookedAt.push(what);
  }

  async end(policy: EffectivePolicy, jobId: string): Promise<FoundLeaks> {
    const output = await this.#output.end();
    this.#note("output", output);
    const open: PlacedLeak[] = [];
    const accepted: FoundLeaks["accepted"][number][] = [];
    for (const leak of this.#found) {
      const exception = policy.allowance(`leaked-secret ${leak.fingerprint}`);
      if (exception === undefined) open.push(leak);
      else accepted.push({ ...leak, exception });
    }
    const worst = open.toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity)).slice(0, MOST_TOLD);
    const scan = { outputBytes: output.bytes, files: this.#files, notLookedAt: this.#notLookedAt, found: open.length + this.#more, accepted: accepted.length };
    return { scan, threats: worst.map((leak) => threatOf(leak, jobId)), accepted };
  }

  #note(where: string, { leaks, more }: LeakReport): void {
    this.#more += more;
    this.#found.push(...leaks.map((leak) => ({ ...leak, where })));
  }
}

function threatOf({ kind, severity, where, line, offset, times, fingerprint }: PlacedLeak, jobId: string): ThreatInput {
  return {
    ...{ type: "leaked_secret", severity, source: "leak-finder", jobId },
    details: { kind, where: where.toWellFormed().slice(0, 500), line, offset, times, fingerprint },
    recommendedAction: `revoke it; if it is none: packages: {allow: [{what: leaked-secret ${fingerprint}, reason: ...}]}`,
  };
}

/** Undefined for what is no plain file, larger than `most`, or gone. */
async function leaksIn(path: string, most: number, clock: Clock): Promise<LeakReport | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile() || stat.size > most) return undefined;
    const finder = new LeakFinder(clock.now());
    const buffer = Buffer.alloc(Math.min(PIECE, Math.max(1, stat.size)));
    for (let at = 0; at < stat.size; ) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) break;
      finder.write(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
    return await finder.end();
  } catch {
    // It is counted among those that were not looked at.
    return undefined;
  }
}
