/** Commands in a process's network namespace, entered by a descriptor: the process may end, and its pid be somebody else's, meanwhile. */
import { closeSync, openSync } from "node:fs";
import { CofferdamError, errnoOf, runCommand, startOf, wrapError } from "../../foundation/index.ts";

export class NetworkNamespace implements Disposable {
  readonly #descriptor: number | undefined;

  private constructor(descriptor: number | undefined) {
    this.#descriptor = descriptor;
  }

  /** Our own. */
  static own(): NetworkNamespace {
    return new NetworkNamespace(undefined);
  }

  /** Throws NOT_FOUND when there is none at the path. */
  static at(path: string): NetworkNamespace {
    try {
      return new NetworkNamespace(openSync(path, "r"));
    } catch (error) {
      if (errnoOf(error) === "ENOENT") throw new CofferdamError("NOT_FOUND", `no network namespace at ${path}`);
      throw wrapError(error, "ENVIRONMENT_UNFIT", "a network namespace cannot be opened");
    }
  }

  /** That of a process which started at `started` (see foundation/process-identity.ts). Throws NOT_FOUND when it is gone. */
  static of(pid: number, started: string): NetworkNamespace {
    const namespace = NetworkNamespace.at(`/proc/${pid}/ns/net`);
    // Open now: if the process is still the same one, so is the namespace.
    if (startOf(pid) === started) return namespace;
    namespace[Symbol.dispose]();
    throw new CofferdamError("NOT_FOUND", `process ${pid} is gone`);
  }

  /** Only the network is entered: with a mount namespace of its own, as `ip netns exec` makes, /sys would be another. */
  async run(program: string, args: readonly string[]): Promise<string> {
    if (this.#descriptor === undefined) return await runCommand(program, args);
    return await runCommand("nsenter", ["--net=/proc/self/fd/3", program, ...args], { descriptor: this.#descriptor });
  }

  [Symbol.dispose](): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
  }
}
