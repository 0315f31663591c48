/**
 * A real dockerd for one test file: its own network and mount namespace, cgroup, data and socket in a temporary folder; up in
 * under a second, gone with its containers, mounts and cgroups on dispose or when the test is killed. No other daemon is
 * touched. Needs root. It has no `bridge` network and no way out: name a network, or `NetworkMode: "none"`.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { BoundedText } from "../../src/foundation/index.ts";
import { type Certificates, makeCertificates } from "./docker-tls.ts";

const START_MS = 30_000;

interface KeeperEvents {
  listening: [];
  ended: [];
}

export class TestDocker extends EventEmitter<KeeperEvents> implements AsyncDisposable {
  readonly folder: string;
  readonly socketPath: string;
  /** A folder whose mounts the daemon sees as they are made: sources of binds that are mounts belong below it. */
  readonly mounts: string;
  readonly #keeper: ChildProcess;
  readonly #log = new BoundedText(64 * 1024);
  readonly #certificates: Certificates | undefined;
  #pid: number | undefined;
  #port = 0;
  #leftOver: string | undefined;

  private constructor(folder: string, certificates: Certificates | undefined) {
    super();
    this.#certificates = certificates;
    this.folder = folder;
    this.socketPath = join(folder, "docker.sock");
    this.mounts = join(folder, "mounts");
    mkdirSync(this.mounts);
    execFileSync("sh", ["-c", 'mount --bind "$1" "$1" && mount --make-shared "$1"', "sh", this.mounts]);
    const program = fileURLToPath(new URL("docker-keeper.ts", import.meta.url));
    this.#keeper = spawn("unshare", ["--net", "--mount", "--propagation", "slave", process.execPath, program, folder], {
      stdio: ["pipe", "pipe", "inherit"],
      // Not in the group that a terminal interrupts: it still has to clean up.
      detached: true,
    });
    if (this.#keeper.stdout === null) throw new Error("no output of the keeper");
    createInterface({ input: this.#keeper.stdout }).on("line", (line) => this.#hear(line));
  }

  /** @param options.tls with a port on 127.0.0.1 as well, for whoever has a certificate; see {@link tls}. */
  static async start(options: { readonly tls?: boolean } = {}): Promise<TestDocker> {
    const folder = mkdtempSync(join(tmpdir(), "cofferdam-docker-"));
    const certificates = options.tls === true ? makeCertificates(join(folder, "tls")) : undefined;
    const docker = new TestDocker(folder, certificates);
    await docker.#listening();
    return docker;
  }

  /** Of dockerd; seen from here as from a machine's own. */
  get pid(): number {
    if (this.#pid === undefined) throw new Error("dockerd does not run");
    return this.#pid;
  }

  /** The port that speaks TLS, and who may use it. */
  get tls(): Certificates & { readonly port: number } {
    if (this.#certificates === undefined) throw new Error("not started with TLS");
    return { ...this.#certificates, port: this.#port };
  }

  /** What dockerd wrote, its middle left out when long. */
  get log(): string {
    return this.#log.text();
  }

  /** Signals dockerd; after SIGKILL or SIGTERM it is gone when this returns. Containers outlive a SIGKILL until it starts again. */
  async signal(name: NodeJS.Signals): Promise<void> {
    const ended = name === "SIGKILL" || name === "SIGTERM" ? once(this, "ended") : undefined;
    this.#keeper.stdin?.write(`signal ${name}\n`);
    await ended;
  }

  /** Starts dockerd again on the same data. */
  async restart(): Promise<void> {
    this.#keeper.stdin?.write("start\n");
    await this.#listening();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#keeper.exitCode !== null) return;
    const exit = once(this.#keeper, "exit");
    this.#keeper.stdin?.end();
    const [code] = await exit;
    if (code !== 0) throw new Error(`dockerd left something behind: ${this.#leftOver ?? `keeper exit ${String(code)}`}`);
  }

  async #listening(): Promise<void> {
    const timer = AbortSignal.timeout(START_MS);
    const failed = new AbortController();
    const over = (): void => failed.abort();
    this.once("ended", over);
    this.#keeper.once("exit", over);
    try {
      await once(this, "listening", { signal: AbortSignal.any([timer, failed.signal]) });
    } catch {
      await this[Symbol.asyncDispose]();
      throw new Error(`dockerd does not start:\n${this.log}`);
    } finally {
      this.off("ended", over);
      this.#keeper.off("exit", over);
    }
  }

  #hear(line: string): void {
    const message: unknown = JSON.parse(line);
    if (typeof message !== "object" || message === null || !("event" in message)) return;
    if (message.event === "log" && "line" in message) this.#log.add(`${String(message.line)}\n`);
    if (message.event === "left-over" && "why" in message) this.#leftOver = String(message.why);
    if (message.event === "listening" && "pid" in message) {
      this.#pid = Number(message.pid);
      if ("port" in message) this.#port = Number(message.port);
      this.emit("listening");
    }
    if (message.event === "ended") {
      this.#pid = undefined;
      if ("why" in message) this.#log.add(`${String(message.why)}\n`);
      this.emit("ended");
    }
  }
}

/** See {@link TestDocker}. */
export function startDocker(options: { readonly tls?: boolean } = {}): Promise<TestDocker> {
  return TestDocker.start(options);
}
