/** A process that starts a dockerd and a container which does not end, says where, and then waits to be killed. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { EngineClient } from "../../src/engine/index.ts";
import { startDocker } from "./docker.ts";
import { busyboxImage } from "./images.ts";

const docker = await startDocker();
const engine = new EngineClient(docker.socketPath);
const mounted = join(docker.mounts, "tmpfs");
mkdirSync(mounted);
execFileSync("mount", ["-t", "tmpfs", "tmpfs", mounted]);
const HostConfig = { NetworkMode: "none", Mounts: [{ Type: "bind", Source: mounted, Target: "/work" } as const] };
const { Id } = await engine.containers.create({ Image: await busyboxImage(engine), Cmd: ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], HostConfig });
await engine.containers.start(Id);
const { State } = await engine.containers.inspect(Id);
process.stdout.write(`${JSON.stringify({ folder: docker.folder, dockerd: docker.pid, container: State.Pid })}\n`);
setInterval(() => undefined, 1000);
