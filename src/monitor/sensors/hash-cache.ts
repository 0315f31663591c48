/** Hashes of programs by the file's identity and times, so that a compiler that runs a thousand times is read once. */
import type { ExecEvent, FileFacts } from "../event.ts";

const MAX_ENTRIES = 10_000;
/** At a time; a build that brings along thousands of programs waits for its hashes. */
const MAX_RUNNING = 4;
const MAX_WAITING = 1000;
/** A file that changed so shortly before, ms, can change again without another time on it: its hash is told, and not kept. */
const FRESH_MS = 50;

interface Job {
  readonly event: ExecEvent;
  readonly resolve: (hash: string | undefined) => void;
}

export class HashCache {
  readonly #hash: (event: ExecEvent) => Promise<string | undefined>;
  /** In the order of their last use. */
  readonly #known = new Map<string, string>();
  readonly #underway = new Map<string, Promise<string | undefined>>();
  readonly #waiting: Job[] = [];
  #running = 0;

  /** @param hash reads the program; undefined when it cannot. */
  constructor(hash: (event: ExecEvent) => Promise<string | undefined>) {
    this.#hash = hash;
  }

  /** What is known without reading anything. */
  known(program: FileFacts): string | undefined {
    const key = keyOf(program);
    const hash = this.#known.get(key);
    if (hash !== undefined) {
      this.#known.delete(key);
      this.#known.set(key, hash);
    }
    return hash;
  }

  /** undefined: the program was gone or changed before it could be read, or too many wait. */
  async of(event: ExecEvent): Promise<string | undefined> {
    const known = this.known(event.program);
    if (known !== undefined) return known;
    const key = keyOf(event.program);
    const underway = this.#underway.get(key);
    if (underway !== undefined) return await underway;
    if (this.#waiting.length >= MAX_WAITING) return undefined;
    const asked = new Promise<string | undefined>((resolve) => {
      this.#waiting.push({ event, resolve });
    });
    this.#underway.set(key, asked);
    this.#next();
    const hash = await asked;
    this.#underway.delete(key);
    if (hash !== undefined && event.time - event.program.ctime > FRESH_MS) this.#keep(key, hash);
    return hash;
  }

  #next(): void {
    while (this.#running < MAX_RUNNING) {
      const job = this.#waiting.shift();
      if (job === undefined) return;
      this.#running++;
      this.#hash(job.event)
        .catch(() => undefined)
        .then((hash) => {
          this.#running--;
          job.resolve(hash);
          this.#next();
        });
    }
  }

  #keep(key: string, hash: string): void {
    this.#known.set(key, hash);
    if (this.#known.size <= MAX_ENTRIES) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}

function keyOf({ id, size, mtime, ctime }: FileFacts): string {
  return `${id} ${size} ${mtime} ${ctime}`;
}
