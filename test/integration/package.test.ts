/**
 * What is published, as whoever installs it gets it: packed from this checkout, unpacked by npm in an empty folder, and used.
 * The programs for the other kind of processor are there after `./dev package`, and in a full run.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import { packageFolder } from "../../src/foundation/index.ts";
import { embeddedElf, MACHINE, readElf } from "../world/elf.ts";
import { requires } from "../world/needs.ts";
import { type PackageSpec, TestRegistry } from "../world/registry.ts";
import { WatchedShell } from "../world/watched-shell.ts";

const ROOT = packageFolder();
const NPM = join(ROOT, "tools/runtime/node_modules/npm/bin/npm-cli.js");
const PROGRAMS = ["jail", "net", "place", "sensor", "shim"];
/** One that only that processor's description of them has. */
const REGISTERS = { x64: "orig_ax", arm64: "orig_x0" } as const;

let folder: string;
let registry: TestRegistry;
let installed: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "cofferdam-package-"));
  env = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", HOME: folder, COFFERDAM_STATE: join(folder, "state"), npm_config_update_notifier: "false" };
  registry = await TestRegistry.start();
  for (const path of dependencies()) registry.publish(packageIn(join(ROOT, path)));
  const project = join(folder, "project");
  mkdirSync(project);
  // Else npm takes a folder further up that has one.
  writeFileSync(join(project, "package.json"), "{}");
  await npm(ROOT, "pack", "--pack-destination", folder);
  const [tarball = ""] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  await npm(project, "install", "--registry", registry.url, "--no-audit", "--no-fund", join(folder, tarball));
  installed = join(project, "node_modules", "cofferdam");
});
afterAll(async () => {
  await registry?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

async function npm(cwd: string, ...args: string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [NPM, ...args, "--ignore-scripts", "--loglevel", "error"], { cwd, env });
}

test("it holds what it runs from, and nothing of the checkout", () => {
  const files = readdirSync(installed, { recursive: true, encoding: "utf8" });
  for (const path of ["bin/cofferdam.js", "dist/index.js", "dist/index.d.ts", "dist/bundle/cli.js", "schema", "rules", "docs/sensor.md", "LICENSE"])
    expect(files).toContain(path);
  expect(files.filter((path) => /^(src|test|native|node_modules|\.dev)|\.test\.[jt]s|tsbuildinfo/.test(path))).toEqual([]);
});

for (const arch of ["x64", "arm64"] as const) {
  test(`${arch}: programs that need nothing of the machine, and name no folder of this one`, (context) => {
    skipUnbuilt(context, arch);
    for (const name of PROGRAMS) {
      const file = program(name, arch);
      const { machine, dynamic } = readElf(file);
      expect({ name, machine, dynamic, told: file.includes(ROOT) }).toEqual({ name, machine: MACHINE[arch], dynamic: false, told: false });
    }
  });

  test(`${arch}: the sensor holds the kernel's program, with its types and the registers of that processor`, (context) => {
    skipUnbuilt(context, arch);
    const types = embeddedElf(program("sensor", arch), MACHINE.bpf).section(".BTF");
    expect(Object.entries(REGISTERS).flatMap(([name, register]) => (types?.includes(`\0${register}\0`) === true ? [name] : []))).toEqual([arch]);
  });
}

test("doctor finds the parts of the package where they were installed", async (context) => {
  for (const need of ["jail", "network", "sensor"] as const) requires(context, need);
  const { stdout } = await promisify(execFile)(process.execPath, [join(installed, "bin/cofferdam.js"), "doctor", "--json"], { cwd: folder, env });
  const { checks }: { readonly checks: readonly { readonly name: string; readonly status: string }[] } = JSON.parse(stdout);
  const found = new Map(checks.map(({ name, status }) => [name, status]));
  expect(["box", "jail", "script shell", "sensor"].map((name) => [name, found.get(name)])).toEqual(
    ["box", "jail", "script shell", "sensor"].map((name) => [name, "ok"]),
  );
});

test("the sensor of the package watches", async (context) => {
  requires(context, "sensor");
  await using shell = await WatchedShell.start("/bin/true seen by what was installed");
  const script = `
    import { KernelSensor } from "cofferdam/monitor";
    await using sensor = new KernelSensor();
    const { state, source } = await sensor.initialize();
    sensor.on("event", ({ kind, args }) => kind === "exec" && args[0] === "/bin/true" && console.log(args.join(" ")));
    await using watch = await sensor.watch({ job: "job", pid: ${shell.pid} });
    console.log(state, source);
    await new Promise((resolve) => process.stdin.once("data", resolve).once("end", resolve));
    await watch.close();
    process.stdin.destroy();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { cwd: join(folder, "project"), env, stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = once(child, "close");
  await once(child.stdout, "data");
  await shell.go();
  child.stdin.end("\n");
  await ended;
  expect(said).toBe("watching ebpf\n/bin/true seen by what was installed\n");
});

function skipUnbuilt(context: TestContext, arch: keyof typeof REGISTERS): void {
  if (arch !== process.arch) {
    if (process.env["COFFERDAM_TEST_FULL"] === "1") requires(context, "arm64");
    else if (!existsSync(join(installed, "dist/native", `cofferdam-sensor-${arch}`))) context.skip("optional: ./dev package and ./dev test --full build it");
  } else for (const need of ["jail", "container", "network", "sensor"] as const) requires(context, need);
}

function program(name: string, arch: string): Buffer {
  return readFileSync(join(installed, "dist/native", `cofferdam-${name}-${arch}`));
}

/** Folders of the packages that this one depends on. */
function dependencies(): string[] {
  const { packages }: { readonly packages: Readonly<Record<string, { readonly dev?: boolean }>> } = JSON.parse(
    readFileSync(join(ROOT, "package-lock.json"), "utf8"),
  );
  return Object.entries(packages).flatMap(([path, { dev }]) => (path === "" || dev === true ? [] : [path]));
}

function packageIn(path: string): PackageSpec {
  const manifest: { readonly name: string; readonly version: string } = JSON.parse(readFileSync(join(path, "package.json"), "utf8"));
  const files = readdirSync(path, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const file = join(entry.parentPath, entry.name);
    return entry.isFile() && relative(path, file) !== "package.json" ? [[relative(path, file), readFileSync(file, "utf8")]] : [];
  });
  return { name: manifest.name, version: manifest.version, manifest: { ...manifest }, files: Object.fromEntries(files) };
}
