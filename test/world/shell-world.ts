/** A project in which plain npm is called with our script shell, as root or as an ordinary user. */
import { type ChildProcess, spawn } from "node:child_process";
import { chownSync, lstatSync, readdirSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkoutFor, type Who } from "./checkout.ts";
import { type CliResult, outcomeOf, TestProject } from "./project.ts";
import { TestRegistry } from "./registry.ts";

const UID = 12345;

export class ShellWorld implements AsyncDisposable {
  readonly registry: TestRegistry;
  readonly project: TestProject;
  readonly #as: Who;
  readonly #checkout: string;

  private constructor(registry: TestRegistry, project: TestProject, as: Who) {
    this.registry = registry;
    this.project = project;
    this.#as = as;
    this.#checkout = checkoutFor(as);
    // What its scripts must not see.
    writeFileSync(join(project.home, "secret"), "planted-secret\n");
  }

  static async make(as: Who, manifest: Readonly<Record<string, unknown>> = {}): Promise<ShellWorld> {
    const registry = await TestRegistry.start();
    return new ShellWorld(registry, new TestProject(registry.url, manifest), as);
  }

  get secret(): string {
    return join(this.project.home, "secret");
  }

  /** What `cofferdam shell-init` would set, and a secret that a build server has. */
  get env(): NodeJS.ProcessEnv {
    const bin = join(this.#checkout, ".dev", "bin");
    return {
      ...this.project.env,
      PATH: `${bin}:/usr/bin:/bin`,
      COFFERDAM_NODE: realpathSync(join(bin, "node")),
      npm_config_script_shell: this.shell,
      npm_config_update_notifier: "false",
      NPM_TOKEN: "planted-token",
    };
  }

  get shell(): string {
    return join(this.#checkout, "bin", "cofferdam-script-shell");
  }

  /** Runs npm to its end. */
  async npm(args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd?: string): Promise<CliResult> {
    return await this.run("npm", args, env, cwd);
  }

  async run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd?: string): Promise<CliResult> {
    return await outcomeOf(this.start(program, args, env, cwd));
  }

  start(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd: string = this.project.root): ChildProcess {
    this.#own();
    const ids = this.#as === "user" && process.getuid?.() === 0 ? { uid: UID, gid: UID } : {};
    return spawn(program, args, { cwd, env: { ...this.env, ...env }, stdio: ["ignore", "pipe", "pipe"], ...ids });
  }

  /** Events of the trail, newest last. */
  async events(): Promise<readonly { readonly result: string; readonly details: Readonly<Record<string, unknown>> }[]> {
    const { stdout } = await this.run("node", [join(this.#checkout, "bin", "cofferdam.js"), "audit", "search", "--json"]);
    const events: { action: string; result: string; details: Record<string, unknown> }[] = JSON.parse(stdout).events;
    return events.filter((event) => event.action === "RuntimeProtection");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.project[Symbol.dispose]();
    await this.registry[Symbol.asyncDispose]();
  }

  #own(): void {
    if (this.#as === "user" && process.getuid?.() === 0) own(this.project.base);
  }
}

function own(path: string): void {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  if (stat.uid !== UID) chownSync(path, UID, UID);
  if (stat.isDirectory()) for (const name of readdirSync(path)) own(join(path, name));
}
