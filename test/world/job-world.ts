/** Guarded jobs on a dockerd of the test's own: the built command line, the library, and what may not be left afterwards. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { AuditLogger } from "../../src/audit/index.ts";
import { EngineClient } from "../../src/engine/index.ts";
import { systemClock } from "../../src/foundation/index.ts";
import { type JobReport, type OrchestratorOptions, parseReport, SecurityOrchestrator } from "../../src/jobs/index.ts";
import { type Level, loadPolicy } from "../../src/policy/index.ts";
import { SqliteStore } from "../../src/store/index.ts";
import { startDocker, type TestDocker } from "./docker.ts";
import { busyboxImage } from "./images.ts";
import { type CliResult, outcomeOf } from "./project.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** A user of nobody on the machine: whose folders jobs work on. */
export const CALLER = 12_345;
/** Images are accepted unscanned, as a user may say in a policy of their own. */
const ACCEPTING = "version: 1\njobs: {unscanned: accept}\n";
const IMAGE = "busybox:test";

export interface StartOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Of standard input, which then ends. */
  readonly input?: string;
  /** It is a pipe that stays open. */
  readonly openInput?: boolean;
  /** Another package than this checkout. */
  readonly root?: string;
}

export interface JobSpecification extends StartOptions {
  readonly level?: Level;
  readonly options?: readonly string[];
  readonly command: readonly string[];
}

export interface JobResult extends CliResult {
  readonly report: JobReport;
}

export class JobWorld implements AsyncDisposable {
  readonly docker: TestDocker;
  readonly engine: EngineClient;
  /** Root's own; below the mounts that the daemon sees. */
  readonly base: string;
  readonly state: string;
  readonly policyFile: string;
  /** For levels that want checkpoints elsewhere. */
  readonly strictFile: string;
  readonly imageId: string;
  readonly image: string = IMAGE;
  /** This checkout. */
  readonly root: string = ROOT;
  #count = 0;

  private constructor(docker: TestDocker, engine: EngineClient, imageId: string) {
    this.docker = docker;
    this.engine = engine;
    this.imageId = imageId;
    this.base = join(docker.mounts, "world");
    this.state = join(this.base, "state");
    this.policyFile = join(this.base, "policy.yaml");
    mkdirSync(this.base, { mode: 0o755 });
    this.policy(ACCEPTING);
    mkdirSync(join(this.base, "checkpoints"));
    this.strictFile = join(this.base, "strict.yaml");
    writeFileSync(this.strictFile, `${ACCEPTING}audit: {copy: "${join(this.base, "checkpoints")}"}\n`);
  }

  static async start(): Promise<JobWorld> {
    const docker = await startDocker();
    const engine = new EngineClient(docker.socketPath);
    return new JobWorld(docker, engine, await busyboxImage(engine, { reference: IMAGE }));
  }

  /** The user's own policy, from now on. */
  policy(text: string): void {
    writeFileSync(this.policyFile, text);
  }

  /** A folder of {@link CALLER}, with files in it. */
  folder(files: Readonly<Record<string, string>> = {}): string {
    const folder = join(this.base, `work-${++this.#count}`);
    mkdirSync(folder);
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(folder, path, ".."), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    execFileSync("chown", ["-R", `${CALLER}:${CALLER}`, folder]);
    return folder;
  }

  get env(): NodeJS.ProcessEnv {
    return {
      PATH: `${join(ROOT, ".dev", "bin")}:/usr/bin:/bin:/usr/sbin:/sbin`,
      HOME: this.base,
      COFFERDAM_STATE: this.state,
      DOCKER_HOST: `unix://${this.docker.socketPath}`,
    };
  }

  start(args: readonly string[], { env = {}, cwd = this.base, input, openInput = false, root = ROOT }: StartOptions = {}): ChildProcess {
    const child = spawn(process.execPath, [join(root, "bin", "cofferdam.js"), ...args], {
      cwd,
      env: { ...this.env, ...env },
      stdio: [input === undefined && !openInput ? "ignore" : "pipe", "pipe", "pipe"],
    });
    // A job that ends reads no more.
    child.stdin?.on("error", () => undefined);
    if (input !== undefined) child.stdin?.end(input);
    return child;
  }

  async cli(args: readonly string[], options: StartOptions = {}): Promise<CliResult> {
    return await outcomeOf(this.start(args, options));
  }

  /** The words of `job run` up to its command. */
  words(id: string, { level, options = [], command }: JobSpecification): string[] {
    const own = ["--config", level === "high" || level === "paranoid" ? this.strictFile : this.policyFile, ...(level === undefined ? [] : ["--level", level])];
    const image = options.includes("--image") || options.includes("--load") ? [] : ["--image", this.image];
    const memory = options.includes("--memory") ? [] : ["--memory", "256MiB"];
    const disk = options.includes("--disk") ? [] : ["--disk", "200MiB"];
    return ["job", "run", ...own, ...image, "--repo", "acme/web", ...memory, ...disk, "--id", id, ...options, "--", ...command];
  }

  newId(): string {
    return `t${++this.#count}`;
  }

  /** Runs a job through the command line; with its report. */
  async job(specification: JobSpecification): Promise<JobResult> {
    const id = this.newId();
    const result = await this.cli(this.words(id, specification), specification);
    return { ...result, report: await this.report(id) };
  }

  async report(id: string): Promise<JobReport> {
    const { stdout, stderr } = await this.cli(["job", "report", id, "--json"]);
    if (stdout === "") throw new Error(`no report of ${id}: ${stderr}`);
    return parseReport(JSON.parse(stdout));
  }

  /** The library, on the same state directory. */
  async library(options: { readonly level?: Level; readonly engine?: EngineClient } & Partial<OrchestratorOptions> = {}): Promise<JobLibrary> {
    const { level, engine = new EngineClient(this.docker.socketPath), ...more } = options;
    const store = new SqliteStore({ path: join(this.state, "cofferdam.db") });
    const policy = await loadPolicy({
      cwd: this.base,
      env: {},
      configPath: level === "high" || level === "paranoid" ? this.strictFile : this.policyFile,
      ...(level === undefined ? {} : { flags: { level } }),
    });
    const audit = new AuditLogger({ store, storage: { directory: this.state }, checkpoint: { copies: policy.values["audit.copy"] } });
    await audit.initialize();
    const orchestrator = new SecurityOrchestrator(engine, {
      ...{ policy, stateDir: this.state, store, audit, clock: systemClock },
      ...more,
    });
    return {
      orchestrator,
      audit,
      async [Symbol.asyncDispose]() {
        await orchestrator.close();
        await audit.close();
        await store.close();
        await engine.close();
      },
    };
  }

  /** What jobs have left on the machine: nothing, after each of them. */
  async remains(): Promise<readonly string[]> {
    const containers = (await this.engine.containers.list({ all: true })).map(({ Names, State }) => `container ${Names.join(" ")} ${State}`);
    const volumes = (await this.engine.volumes.list()).map(({ Name }) => `volume ${Name}`);
    const mounts = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .flatMap((line) => line.split(" ")[4] ?? [])
      .filter((place) => place.startsWith(`${this.base}/`))
      .map((place) => `mount ${place}`);
    const loops = readdirSync("/sys/block")
      .filter((name) => name.startsWith("loop"))
      .flatMap((name) => {
        const file = `/sys/block/${name}/loop/backing_file`;
        return existsSync(file) && readFileSync(file, "utf8").startsWith(this.base) ? [`loop ${name} ${readFileSync(file, "utf8").trim()}`] : [];
      });
    const folders = ["jobs", "workspaces"].flatMap((name) => listed(join(this.state, name)).map((entry) => `folder ${name}/${entry}`));
    const cgroups = cgroupsOf(this.docker.pid).map((path) => `cgroup ${path}`);
    const booked = await this.#held();
    return [...containers, ...volumes, ...mounts, ...loops, ...folders, ...cgroups, ...booked];
  }

  /** Straight from the tables: whoever asked the manager would let it clean up first. */
  async #held(): Promise<readonly string[]> {
    if (!existsSync(join(this.state, "cofferdam.db"))) return [];
    await using store = new SqliteStore({ path: join(this.state, "cofferdam.db") });
    const rows = await store.read(async (tx) => [
      ...(await tx.all("SELECT job_id, 'reserved' AS what FROM quota_jobs")),
      ...(await tx.all("SELECT job_id, 'watched' AS what FROM quota_targets")),
      ...(await tx.all("SELECT job_id, 'workspace' AS what FROM quota_workspaces")),
      ...(await tx.all("SELECT job_id, 'job ' || state AS what FROM jobs WHERE state NOT IN ('blocked', 'finished', 'aborted')")),
      ...(await tx.all("SELECT job_id, 'holds ' || holds AS what FROM jobs WHERE holds <> '{}'")),
    ]);
    return rows.map((row) => `${String(row["what"])} of ${String(row["job_id"])}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine.close();
    await this.docker[Symbol.asyncDispose]();
  }
}

export interface JobLibrary extends AsyncDisposable {
  readonly orchestrator: SecurityOrchestrator;
  readonly audit: AuditLogger;
}

function listed(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** Folders beside the daemon's own, in every hierarchy: containers. */
function cgroupsOf(dockerd: number): string[] {
  const groups = readFileSync(`/proc/${dockerd}/cgroup`, "utf8");
  const name = /:\/(cofferdam-docker-[^/\n]+)/.exec(groups)?.[1];
  if (name === undefined) throw new Error("dockerd stands in no cgroup of its own");
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => / - cgroup2? /.test(line))
    .flatMap((line) => line.split(" ")[4] ?? []);
  return mounts.flatMap((mount) =>
    listed(join(mount, name))
      .filter((entry) => /^[0-9a-f]{64}$/.test(entry))
      .map((entry) => join(mount, name, entry)),
  );
}
