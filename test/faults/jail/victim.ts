/** Everything an attack may be after, made anew for each run in a temporary folder and on loopback, and disposed of again. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { text, type Who } from "./attack.ts";
import { type HostProcess, startHostProcess } from "./host-process.ts";
import { type HostServices, startHostServices } from "./host-services.ts";

/** The ordinary user when the tests run as root; otherwise it is whoever runs them. */
export const USER = 12_345;
/** Owner of what belongs to somebody else. */
export const STRANGER = 23_456;
const ROOT: boolean = process.getuid?.() === 0;

/** Descriptors that the caller of the jail has open. They are far from the others: Node closes only the first few itself. */
export const INHERITED = { secretFile: 200, writableFile: 201, folder: 202 } as const;

export class Victim implements AsyncDisposable {
  readonly as: Who;
  /** In the names of everything, so that survivors of an attack are known by their command line. */
  readonly token: string;
  readonly base: string;
  readonly home: string;
  readonly project: string;
  /** The dependency whose script is the attack. */
  readonly own: string;
  readonly sibling: string;
  readonly store: string;
  readonly state: string;
  readonly stranger: string;
  /** Where the host process notes what reached it. */
  readonly heard: string;
  readonly run: string;
  /** Named by GITHUB_ENV: what is written there sets variables of the job's later steps. */
  readonly stepFile: string;
  readonly temporary: string;
  readonly shared: string;
  /** These exist only if an attack made them. */
  readonly plantedEtc: string;
  readonly plantedProgram: string;
  readonly segmentKey: number;
  readonly scratch: string;
  readonly #secrets = new Map<string, string>();
  readonly #descriptors: number[] = [];
  #services: HostServices | undefined;
  #host: HostProcess | undefined;

  private constructor(as: Who) {
    this.as = as;
    this.token = randomBytes(6).toString("hex");
    this.base = join(publicTemporary(), `cofferdam-victim-${this.token}`);
    this.home = join(this.base, "home");
    this.project = join(this.base, "project");
    this.own = join(this.project, "node_modules", "own");
    this.sibling = join(this.project, "node_modules", "sibling");
    this.store = join(this.base, "store");
    this.state = join(this.base, "state");
    this.stranger = join(this.base, "stranger");
    this.heard = join(this.base, "heard");
    this.run = join(this.base, "run");
    this.stepFile = join(this.run, "step-environment");
    this.scratch = join(this.base, "scratch");
    this.temporary = join(publicTemporary(), `other-program-${this.token}.txt`);
    this.shared = `/dev/shm/other-program-${this.token}`;
    this.plantedEtc = `/etc/cofferdam-test-${this.token}`;
    this.plantedProgram = `/usr/local/bin/cofferdam-test-${this.token}`;
    this.segmentKey = randomBytes(4).readUInt32LE() & 0x7fff_ffff;
  }

  /** @param as whose things these are: root's own, or an ordinary user's. */
  static async make(as: Who): Promise<Victim> {
    const victim = new Victim(as);
    try {
      victim.#files();
      victim.#services = await startHostServices({
        token: victim.token,
        unixPaths: [victim.agentSocket, victim.engineSocket, join(victim.own, "daemon.sock"), join(victim.project, "daemon.sock")],
        secret: victim.secret("service"),
      });
      for (const path of victim.#services.paths) victim.#give(path, 0o600);
      victim.#host = await startHostProcess({
        secret: victim.secret("host"),
        heard: victim.heard,
        datagram: join(victim.own, "log.sock"),
        fifos: [join(victim.own, "commands.fifo"), join(victim.project, "commands.fifo")],
        file: victim.#open(join(victim.base, "private", "open-by-host"), "r"),
        ids: victim.ids,
      });
    } catch (error) {
      await victim[Symbol.asyncDispose]();
      throw error;
    }
    return victim;
  }

  /** For spawn: whose process the attack is. */
  get ids(): { readonly uid: number; readonly gid: number } | undefined {
    return ROOT && this.as === "user" ? { uid: USER, gid: USER } : undefined;
  }

  get agentSocket(): string {
    return join(this.home, ".ssh", "agent.sock");
  }

  get engineSocket(): string {
    return join(this.run, "docker.sock");
  }

  get services(): HostServices {
    if (this.#services === undefined) throw new Error("not made");
    return this.#services;
  }

  get host(): HostProcess {
    if (this.#host === undefined) throw new Error("not made");
    return this.#host;
  }

  /** What the caller of the jail has in its environment. */
  get environment(): Readonly<Record<string, string>> {
    return {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: this.home,
      TMPDIR: this.scratch,
      NPM_TOKEN: this.secret("env"),
      AWS_SECRET_ACCESS_KEY: this.secret("env"),
      npm_config__authToken: this.secret("npmenv"),
      SSH_AUTH_SOCK: this.agentSocket,
      DOCKER_HOST: `unix://${this.engineSocket}`,
      NODE_OPTIONS: "--no-deprecation",
      GITHUB_ENV: this.stepFile,
    };
  }

  /** For spawn: no input, two outputs, and the three descriptors that the caller left open. */
  stdio(): Array<"ignore" | "pipe" | number> {
    const list: Array<"ignore" | "pipe" | number> = Array(INHERITED.folder + 1).fill("ignore");
    list[1] = "pipe";
    list[2] = "pipe";
    list[INHERITED.secretFile] = this.#open(join(this.base, "private", "open-by-caller"), "r");
    list[INHERITED.writableFile] = this.#open(join(this.home, ".profile"), "a");
    list[INHERITED.folder] = this.#open(this.base, "r");
    return list;
  }

  secret(kind: string): string {
    const known = this.#secrets.get(kind) ?? `cofferdam-${kind}-${randomBytes(8).toString("hex")}`;
    this.#secrets.set(kind, known);
    return known;
  }

  read(...path: readonly string[]): string {
    return readFileSync(join(this.base, ...path), "utf8");
  }

  has(...path: readonly string[]): boolean {
    return lstatSync(join(this.base, ...path), { throwIfNoEntry: false }) !== undefined;
  }

  /** Did this reach the host process? A note takes it a moment. */
  async hears(what: "datagram" | "fifo"): Promise<boolean> {
    for (let i = 0; i < 15 && !this.has("heard", what); i++) await sleep(20);
    return this.has("heard", what);
  }

  /** Processes of the attack that are still there: its code names the victim's folder, and so does their command line. */
  survivors(): number[] {
    return readdirSync("/proc")
      .filter((name) => /^[0-9]+$/.test(name))
      .map(Number)
      .filter((pid) => pid !== process.pid && pid !== this.#host?.pid && !/^State:\s+Z/m.test(text(`/proc/${pid}/status`)))
      .filter((pid) => text(`/proc/${pid}/cmdline`).includes(this.token));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.survivors()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself in between.
      }
    }
    await this.#services?.close();
    await this.#host?.end();
    removeSegments(this.#host?.segment, this.segmentKey);
    for (const descriptor of this.#descriptors) closeSync(descriptor);
    for (const path of [this.temporary, this.shared, this.plantedEtc, this.plantedProgram]) rmSync(path, { force: true });
    rmSync(this.base, { recursive: true, force: true });
  }

  #open(path: string, flags: string): number {
    const descriptor = openSync(path, flags);
    this.#descriptors.push(descriptor);
    return descriptor;
  }

  #give(path: string, mode: number): void {
    chmodSync(path, mode);
    if (this.ids !== undefined) chownSync(path, this.ids.uid, this.ids.gid);
  }

  #folder(path: string, mode = 0o755): void {
    mkdirSync(path);
    this.#give(path, mode);
  }

  #file(path: string, content: string, mode = 0o644): void {
    writeFileSync(path, content);
    this.#give(path, mode);
  }

  #files(): void {
    this.#folder(this.base);
    for (const path of [this.project, this.store, this.heard, this.run, this.scratch]) this.#folder(path);
    for (const path of [this.home, join(this.home, ".ssh"), this.state, join(this.state, "keys")]) this.#folder(path, 0o700);
    this.#file(join(this.home, ".ssh", "id_rsa"), `-----BEGIN KEY-----\n${this.secret("home")}\n`, 0o600);
    this.#file(join(this.home, ".npmrc"), `//registry.example/:_authToken=${this.secret("home")}\n`, 0o600);
    for (const name of [".bashrc", ".profile"]) this.#file(join(this.home, name), "# the user's own\n");
    this.#file(join(this.state, "keys", "seal.key"), this.secret("state"), 0o600);
    this.#file(join(this.state, "cofferdam.db"), "the audit trail\n", 0o600);
    this.#file(this.stepFile, "");
    this.#file(this.temporary, this.secret("temporary"), 0o600);
    this.#file(this.shared, this.secret("shared"), 0o600);

    const git = join(this.project, ".git");
    for (const path of [git, join(git, "hooks"), join(this.project, ".github"), join(this.project, ".github", "workflows")]) this.#folder(path);
    this.#file(join(git, "HEAD"), "ref: refs/heads/main\n");
    this.#file(join(git, "config"), "[core]\n\tbare = false\n");
    this.#file(join(this.project, ".github", "workflows", "ci.yml"), "on: push\n");
    this.#file(join(this.project, "package.json"), '{"name":"project","version":"1.0.0"}\n');
    this.#file(join(this.project, "package-lock.json"), '{"lockfileVersion":3}\n');
    const modules = join(this.project, "node_modules");
    for (const path of [modules, join(modules, ".bin"), this.own, join(this.own, "lib"), this.sibling]) this.#folder(path);
    this.#file(join(this.own, "package.json"), '{"name":"own","version":"1.0.0"}\n');
    this.#file(join(this.sibling, "index.js"), "module.exports = 1;\n");
    // What a package manager that hard-links from its store leaves in every project.
    this.#file(join(this.store, "index.js"), "module.exports = 2;\n");
    linkSync(join(this.store, "index.js"), join(this.own, "index.js"));
    const fifos = [join(this.own, "commands.fifo"), join(this.project, "commands.fifo")];
    if (spawnSync("mkfifo", fifos).status !== 0) throw new Error("mkfifo failed");
    for (const path of fifos) this.#give(path, 0o600);

    // Out of reach by path, even for the user: only an open descriptor leads there.
    mkdirSync(join(this.base, "private"), { mode: ROOT ? 0o700 : 0o755 });
    writeFileSync(join(this.base, "private", "open-by-caller"), this.secret("fd"));
    writeFileSync(join(this.base, "private", "open-by-host"), this.secret("host"));
    mkdirSync(this.stranger, { mode: 0o700 });
    writeFileSync(join(this.stranger, "diary"), this.secret("stranger"), { mode: 0o600 });
    if (!ROOT) return;
    for (const path of [join(this.stranger, "diary"), this.stranger]) chownSync(path, STRANGER, STRANGER);
    // A set-user-ID program of somebody else that says who it runs as.
    writeFileSync(join(this.sibling, "id"), readFileSync("/usr/bin/id"));
    chownSync(join(this.sibling, "id"), STRANGER, STRANGER);
    chmodSync(join(this.sibling, "id"), 0o4755);
  }
}

/** A temporary folder whose parents everybody may pass, unlike /root. */
function publicTemporary(): string {
  const open = (path: string): boolean => (statSync(path).mode & 0o001) !== 0 && (path === "/" || open(dirname(path)));
  for (const path of [tmpdir(), "/tmp", "/var/tmp"]) {
    if (!existsSync(path) || !open(path)) continue;
    accessSync(path, constants.W_OK);
    return path;
  }
  throw new Error("no temporary folder that every user reaches");
}

/** Ends System V segments that an attack or a killed host process left behind: by identifier, and by key. */
function removeSegments(id: number | undefined, key: number): void {
  const rows = text("/proc/sysvipc/shm").split("\n").slice(1);
  const left = rows.map((row) => row.trim().split(/\s+/).map(Number)).filter(([rowKey, rowId]) => rowKey === key || (id !== undefined && rowId === id));
  for (const [, rowId] of left) spawnSync("perl", ["-e", "shmctl($ARGV[0] + 0, 0, 0)", String(rowId)]);
}
