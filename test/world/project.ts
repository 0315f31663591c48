/** A project in a temporary folder, with a home, a state directory and the real command line on top. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { inject } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const RUNTIME = join(ROOT, "tools", "runtime", "node_modules");
const NPM = join(RUNTIME, "npm", "bin", "npm-cli.js");

export interface CliResult {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** What stands on standard input; without it there is none. */
  readonly input?: string;
}

export class TestProject implements Disposable {
  readonly base: string;
  readonly root: string;
  readonly home: string;
  readonly state: string;
  /** Lines of the user's own ~/.npmrc. */
  readonly registryUrl: string;

  /** @param registry address of the user's registry. @param manifest package.json beyond name and version. */
  constructor(registry: string, manifest: Readonly<Record<string, unknown>>, userNpmrc: readonly string[] = []) {
    this.base = mkdtempSync(join(tmpdir(), "cofferdam-test-"));
    this.root = join(this.base, "project");
    this.home = join(this.base, "home");
    this.state = join(this.base, "state");
    this.registryUrl = registry;
    mkdirSync(this.root);
    mkdirSync(this.home);
    mkdirSync(join(this.base, "bin"));
    this.takeAdvisories();
    this.write("package.json", JSON.stringify({ name: "project", version: "1.0.0", ...manifest }, null, 2));
    writeFileSync(join(this.home, ".npmrc"), `${[`registry=${registry}`, ...userNpmrc].join("\n")}\n`);
  }

  /** The state directory has advisories of today, as after `cofferdam db update`. */
  takeAdvisories(): void {
    cpSync(inject("advisories"), join(this.state, "advisories"), { recursive: true });
  }

  /** The user's own policy names a folder for copies of checkpoints, as level high asks for. @returns the folder. */
  takeCopies(): string {
    const folder = join(this.base, "copies");
    mkdirSync(folder);
    this.userPolicy(`version: 1\naudit: {copy: ${folder}}\n`);
    return folder;
  }

  /** The user's own cofferdam.yaml, which may loosen. */
  userPolicy(text: string): void {
    const folder = join(this.home, ".config", "cofferdam");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "cofferdam.yaml"), text);
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), text);
  }

  read(path: string): string {
    return readFileSync(join(this.root, path), "utf8");
  }

  has(path: string): boolean {
    return existsSync(join(this.root, path));
  }

  get env(): NodeJS.ProcessEnv {
    return { PATH: `${join(ROOT, ".dev", "bin")}:/usr/bin:/bin:/usr/sbin:/sbin`, HOME: this.home, COFFERDAM_STATE: this.state };
  }

  /** Makes the lockfile with npm itself, without a guard. */
  async lock(...flags: string[]): Promise<void> {
    await promisify(execFile)(process.execPath, [NPM, "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund", ...flags], {
      cwd: this.root,
      env: this.env,
    });
  }

  editLock(edit: (lock: { packages: Record<string, Record<string, unknown>> }) => void): void {
    const lock = JSON.parse(this.read("package-lock.json"));
    edit(lock);
    this.write("package-lock.json", JSON.stringify(lock, null, 2));
  }

  /** Runs the built command line to its end. */
  async cli(args: readonly string[], options: StartOptions = {}): Promise<CliResult> {
    return await outcomeOf(this.start(args, options));
  }

  /** The words that start the built command line. */
  command(...args: string[]): string[] {
    return [process.execPath, join(ROOT, "bin", "cofferdam.js"), ...args];
  }

  /** Runs another program in the same surroundings. */
  async run(program: string, args: readonly string[]): Promise<CliResult> {
    return await outcomeOf(spawn(program, args, { cwd: this.root, env: this.env, stdio: ["ignore", "pipe", "pipe"] }));
  }

  start(args: readonly string[], options: StartOptions = {}): ChildProcess {
    const child = spawn(process.execPath, [join(ROOT, "bin", "cofferdam.js"), ...args], {
      cwd: options.cwd ?? this.root,
      env: { ...this.env, ...options.env },
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    // One that ends before it reads everything is no fault of the test's.
    child.stdin?.on("error", () => undefined).end(options.input);
    return child;
  }

  async installJson(...args: string[]): Promise<{ exit: number; document: Record<string, unknown>; stderr: string }> {
    const result = await this.cli(["install", "--json", ...args]);
    return { exit: result.exit, document: JSON.parse(result.stdout), stderr: result.stderr };
  }

  [Symbol.dispose](): void {
    rmSync(this.base, { recursive: true, force: true });
  }
}

/** Runs to its end, with all that it printed. */
export async function outcomeOf(child: ChildProcess): Promise<CliResult> {
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const exit = await new Promise<number>((resolve) => child.once("close", (code, signal) => resolve(code ?? (signal === "SIGKILL" ? 137 : 128))));
  return { exit, stdout, stderr };
}
