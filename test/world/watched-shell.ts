/** A shell in pid and mount namespaces of its own, that waits until it is watched. Needs root. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { BoundedText } from "../../src/foundation/index.ts";

export class WatchedShell implements AsyncDisposable {
  /** Process 1 of the namespaces, on the host. */
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #output: BoundedText;
  readonly #ended: Promise<unknown>;

  private constructor(child: ChildProcess, output: BoundedText) {
    this.#child = child;
    this.#output = output;
    this.#ended = once(child, "close");
    this.pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim());
  }

  /**
   * @param script for sh; nothing of it runs before {@link go}.
   * @param open files that it has as descriptors 3, 4 and so on.
   * @param more namespaces or another folder, as unshare(1) has them.
   */
  static async start(script: string, args: readonly string[] = [], open: readonly string[] = [], more: readonly string[] = []): Promise<WatchedShell> {
    const files = open.map((path) => openSync(path, "r"));
    const outer = ["--pid", "--mount", ...more, "--fork", "--kill-child", "--mount-proc", "sh", "-c", `echo ready; read -r line; ${script}`, "sh", ...args];
    const child = spawn("unshare", outer, { stdio: ["pipe", "pipe", "pipe", ...files] });
    for (const file of files) closeSync(file);
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw new Error("no output of unshare");
    const output = new BoundedText(64 * 1024);
    stderr.on("data", (chunk: Buffer) => output.add(chunk.toString()));
    await Promise.race([
      once(stdout, "data"),
      once(child, "close").then(() => {
        throw new Error(`it did not start: ${output.text()}`);
      }),
    ]);
    stdout.on("data", (chunk: Buffer) => output.add(chunk.toString()));
    return new WatchedShell(child, output);
  }

  /** Lets it run. @returns what it wrote, at its end. */
  async go(): Promise<string> {
    this.release();
    await this.#ended;
    return this.#output.text();
  }

  release(): void {
    this.#child.stdin?.write("\n");
  }

  /** Ends it, and everything in its namespaces. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGKILL");
      await this.#ended;
    }
  }
}
