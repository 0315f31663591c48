/**
 * The demo's guarded jobs, on a dockerd of the demo's own: started here, gone afterwards with all that came of it. It ends
 * with a look at what is left on the machine: containers, networks, mounts, loop devices and cgroups.
 *
 * argv: a folder for the project.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EngineClient } from "../../dist/engine/index.js";
import { startDocker } from "../../test/world/docker.ts";
import { busyboxImage } from "../../test/world/images.ts";

const here = fileURLToPath(new URL(".", import.meta.url));
const command = join(here, "../../bin/cofferdam.js");

/** What of this demo is still on the machine: mounts, loop devices, cgroups, files, interfaces. */
function remains(folder: string, cgroup: string, interfaces: readonly string[]): readonly string[] {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(folder));
  const loops = readdirSync("/sys/block").filter((name) => {
    const file = `/sys/block/${name}/loop/backing_file`;
    return existsSync(file) && readFileSync(file, "utf8").startsWith(folder);
  });
  const cgroups = ["", ...readdirSync("/sys/fs/cgroup")].map((name) => join("/sys/fs/cgroup", name, cgroup)).filter((path) => existsSync(path));
  const files = existsSync(folder) ? [folder] : [];
  const more = readdirSync("/sys/class/net").filter((name) => !interfaces.includes(name));
  return [...mounts, ...loops, ...cgroups, ...files, ...more];
}

const interfaces = readdirSync("/sys/class/net");
let place = "";
let cgroup = "";
{
  await using docker = await startDocker();
  place = docker.folder;
  cgroup = /:\/(cofferdam-docker-[^/\n]+)/.exec(readFileSync(`/proc/${docker.pid}/cgroup`, "utf8"))?.[1] ?? "";
  if (cgroup === "") throw new Error("the demo's engine has no cgroup of its own");
  await using engine = new EngineClient(docker.socketPath);
  await busyboxImage(engine, { reference: "demo:1" });
  const docked = (...words: string[]): string => execFileSync("docker", words, { env: environment, encoding: "utf8" });
  const engineHas = (): string => docked("ps", "--all") + docked("network", "ls");
  const environment = { ...process.env, DOCKER_HOST: `unix://${docker.socketPath}`, COFFERDAM_STATE: join(docker.mounts, "state") };
  const [project = join(docker.mounts, "project")] = process.argv.slice(2);
  mkdirSync(join(project, ".git/hooks"), { recursive: true });
  cpSync(join(here, "build.sh"), join(project, "build.sh"));
  writeFileSync(join(project, "main.c"), "int main(void) { return 0; }\n");
  writeFileSync(join(project, "policy.yaml"), "version: 1\njobs: {unscanned: accept}\n");
  const empty = engineHas();
  const run = (words: readonly string[], exit: number): void => {
    process.stdout.write(`$ cofferdam ${words.map((word) => (/[\s;]/.test(word) ? `'${word}'` : word)).join(" ")}\n`);
    const { status } = spawnSync(process.execPath, [command, ...words], { cwd: project, env: environment, stdio: "inherit" });
    if (status !== exit) throw new Error(`exit ${status}, not ${exit}`);
  };
  const job = ["job", "run", "--config", "policy.yaml", "--image", "demo:1", "--repo", "acme/web"];
  run([...job, "--memory", "256MiB", "--disk", "50MiB", "--workspace", ".", "--", "sh", "build.sh"], 0);
  if (!existsSync(join(project, "build.txt"))) throw new Error("the job's result did not come back");
  if (existsSync(join(project, ".git/hooks/post-commit"))) throw new Error("the hook came back");
  process.stdout.write("\n");
  run([...job, "--memory", "64MiB", "--", "sh", "-c", "echo '|/tmp/x' > /proc/sys/kernel/core_pattern; sleep 60"], 3);
  process.stdout.write("\n");
  run([...job, "--memory", "16MiB", "--", "sh", "-c", "x=y; while :; do x=$x$x; done"], 5);
  process.stdout.write("\n");
  run(["job", "list"], 0);
  if (engineHas() !== empty) throw new Error(`the engine has more than before:\n${engineHas()}`);
  process.stdout.write(`\n$ docker ps --all; docker network ls\n${engineHas()}`);
}
const left = remains(place, cgroup, interfaces);
if (left.length > 0) throw new Error(`the machine is not as it was:\n${left.join("\n")}`);
process.stdout.write("mounts, cgroups, loop devices and networks of this machine are as before\n");
