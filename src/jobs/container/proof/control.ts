/** One thing that was compared: what the level asks, and what the kernel shows. */

/** As the score's catalogue names them, without `job.`. */
export type ControlName =
  | "capabilities"
  | "cpu-limit"
  | "devices"
  | "masked-paths"
  | "memory-limit"
  | "mounts"
  | "namespaces"
  | "network-isolation"
  | "no-new-privileges"
  | "non-root"
  | "pids-limit"
  | "proven-before-start"
  | "read-only-root"
  | "seccomp"
  | "user-namespace";

export interface Control {
  readonly name: ControlName;
  /** What of it: `bounding set`, `/workspace`, `environment`. */
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
  readonly ok: boolean;
}

const MAX_SHOWN = 400;

export class Controls {
  readonly #all: Control[] = [];
  readonly #held = new Set<ControlName>();

  /** Compares two texts. Values of variables and the like must not be among them. */
  equal(name: ControlName, what: string, expected: string, actual: string): void {
    this.check(name, what, expected, actual, expected === actual);
  }

  check(name: ControlName, what: string, expected: string, actual: string, ok: boolean): void {
    this.#all.push({ name, what: shown(what), expected: shown(expected), actual: shown(actual), ok });
  }

  /** What the kernel shows to be in force, whether the level asks for it or not. */
  holds(name: ControlName, is: boolean): void {
    if (is) this.#held.add(name);
  }

  get all(): readonly Control[] {
    return this.#all;
  }

  /** A control that failed in any part does not hold. */
  get held(): readonly ControlName[] {
    return [...this.#held].filter((name) => this.#all.every((one) => one.name !== name || one.ok)).toSorted();
  }
}

/** What comes from a container is a stranger's word: bounded, one line. */
function shown(text: string): string {
  const clean = text.replace(/[^\x20-\x7e]/g, "?");
  return clean.length > MAX_SHOWN ? `${clean.slice(0, MAX_SHOWN)}...` : clean;
}
