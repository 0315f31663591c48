/** A project whose dependencies have install scripts, with a lockfile made by hand: flat, each package at the top. */
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { TestProject } from "./project.ts";
import { type PackageSpec, sri, TestRegistry } from "./registry.ts";

export interface ScriptedPackage extends Omit<PackageSpec, "version"> {
  /** Event to shell line. */
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: readonly string[];
  readonly optional?: boolean;
}

/** What `--json` says of one script. */
export interface ScriptDocument {
  readonly package: string;
  readonly path: string;
  readonly script: string;
  readonly decision: string;
  readonly why: string;
  readonly exit?: number | null;
  readonly refused?: readonly { readonly kind: string; readonly what: string; readonly why: string; readonly by?: string }[];
  readonly written?: readonly string[];
  readonly leftOut?: readonly { readonly path: string; readonly why: string }[];
  readonly grant?: string;
  readonly exceptions?: readonly string[];
  readonly review?: unknown;
}

export class ScriptWorld implements AsyncDisposable {
  readonly registry: TestRegistry;
  readonly project: TestProject;

  private constructor(registry: TestRegistry, project: TestProject) {
    this.registry = registry;
    this.project = project;
  }

  /** @param manifest package.json beyond its dependencies. */
  static async make(packages: readonly ScriptedPackage[], manifest: Readonly<Record<string, unknown>> = {}): Promise<ScriptWorld> {
    const registry = await TestRegistry.start();
    const named = (optional: boolean): Record<string, string> =>
      Object.fromEntries(packages.filter((one) => (one.optional === true) === optional).map(({ name }) => [name, "1.0.0"]));
    const declared = { dependencies: named(false), optionalDependencies: named(true) };
    const project = new TestProject(registry.url, { ...declared, ...manifest });
    const locked: Record<string, object> = { "": { name: "project", version: "1.0.0", ...declared } };
    for (const { scripts, dependencies = [], optional, ...spec } of packages) {
      const needs = Object.fromEntries(dependencies.map((name) => [name, "1.0.0"]));
      const { tarball } = registry.publish({ ...spec, version: "1.0.0", manifest: { scripts: scripts ?? {}, dependencies: needs, ...spec.manifest } });
      locked[`node_modules/${spec.name}`] = {
        version: "1.0.0",
        resolved: `${registry.url.slice(0, -1)}${registry.tarballPath(spec.name, "1.0.0")}`,
        integrity: sri(tarball),
        dependencies: needs,
        ...(typeof spec.manifest?.["bin"] === "object" ? { bin: spec.manifest["bin"] } : {}),
        ...(optional === true ? { optional: true } : {}),
        ...(scripts === undefined ? {} : { hasInstallScript: true }),
      };
    }
    project.write("package-lock.json", JSON.stringify({ name: "project", version: "1.0.0", lockfileVersion: 3, requires: true, packages: locked }, null, 2));
    return new ScriptWorld(registry, project);
  }

  /** The user's own cofferdam.yaml, which may loosen. */
  userPolicy(text: string): void {
    this.project.userPolicy(text);
  }

  async install(...args: string[]): Promise<{ exit: number; stderr: string; scripts: readonly ScriptDocument[]; document: Record<string, unknown> }> {
    const { exit, stderr, document } = await this.project.installJson(...args);
    const scripts = Array.isArray(document["scripts"]) ? document["scripts"] : [];
    return { exit, stderr, document, scripts };
  }

  installed(path: string): string | undefined {
    const full = join(this.project.root, "node_modules", path);
    return existsSync(full) ? readFileSync(full, "utf8") : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.project[Symbol.dispose]();
    await this.registry[Symbol.asyncDispose]();
  }
}

/** Waits until something is so. */
export async function until(what: () => boolean, ms = 20_000): Promise<void> {
  for (const end = Date.now() + ms; !what(); await new Promise((resolve) => setTimeout(resolve, 10))) if (Date.now() > end) throw new Error("it did not come");
}

/** The command line as in a checkout without a C compiler. @returns the words that start it. */
export function withoutJailHelper(folder: string): string[] {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  for (const name of ["bin", "dist"]) cpSync(join(root, name), join(folder, name), { recursive: true, filter: (from) => !from.endsWith("dist/native") });
  cpSync(join(root, "package.json"), join(folder, "package.json"));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return [process.execPath, join(folder, "bin/cofferdam.js")];
}

/** Processes whose command line has this text. */
export function alive(text: string): number {
  let count = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text)) count += 1;
    } catch {
      // Gone meanwhile.
    }
  }
  return count;
}
