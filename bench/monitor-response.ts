/**
 * From an act in a container to its processes standing still: the kernel's event, the rules, the order to the control group, and
 * the kernel's word that all of them stand; and what the same takes through the engine. Needs root, and a kernel that takes the
 * sensor.
 */

import { EngineClient } from "../dist/engine/index.js";
import { RuntimeSecurityMonitor } from "../dist/monitor/index.js";
import { cgroupOf, freeze, isFrozen } from "../dist/monitor/response/index.js";
import { startDocker } from "../test/world/docker.ts";
import { busyboxImage } from "../test/world/images.ts";
import { median, print, printLimit } from "./measure.ts";

const ROUNDS = 100;

await using docker = await startDocker();
await using engine = new EngineClient(docker.socketPath);
const { containers } = engine;
const Image = await busyboxImage(engine, { files: { "etc/shadow": "root:*:::::::\n" } });
const script = "while read line; do cat /etc/shadow > /dev/null; done";
const { Id } = await containers.create({ Image, Cmd: ["sh", "-c", script], OpenStdin: true, HostConfig: { NetworkMode: "none" } });
const attachment = await containers.attach(Id, { tty: false, stdin: true });
await containers.start(Id);
const cgroup = cgroupOf((await containers.inspect(Id)).State.Pid);

await using monitor = new RuntimeSecurityMonitor(engine, { log: async () => undefined }, { cooldown: 0, monitoringInterval: 0, freezes: () => true });
await monitor.initialize();
if (monitor.status.state !== "watching") throw new Error(`the sensor does not watch here: ${monitor.status.why}`);
await monitor.startContainerMonitoring(Id, "bench");

const told: number[] = [];
const stood: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const { promise, resolve } = Promise.withResolvers<void>();
  monitor.events.once("threatDetected", () => resolve());
  attachment.stdin.write("go\n");
  await promise;
  const { at, afterMs } = await monitor.freeze(Id);
  if (afterMs === undefined) throw new Error("it was not stopped at once");
  told.push(afterMs);
  stood.push(performance.timeOrigin + performance.now() - (at - afterMs));
  monitor.thaw(Id);
}
told.sort((a, b) => a - b);
stood.sort((a, b) => a - b);
printLimit({ name: "monitor, act to the order to stop, p50", ours: median(told), unit: "ms", most: 15 });
printLimit({ name: "monitor, act to frozen, p50", ours: median(stood), unit: "ms", most: 15 });
printLimit({ name: "monitor, act to frozen, p95", ours: stood[Math.floor(stood.length * 0.95)] ?? Number.NaN, unit: "ms", most: 50 });

const [ours, theirs]: [number[], number[]] = [[], []];
for (let round = 0; round < 20; round++) {
  let from = performance.now();
  await freeze(cgroup);
  ours.push(performance.now() - from);
  monitor.thaw(Id);
  from = performance.now();
  await containers.pause(Id);
  theirs.push(performance.now() - from);
  if (!isFrozen(cgroup)) throw new Error("paused and not frozen");
  await containers.unpause(Id);
}
print({ name: "monitor, stopping a container, peer the engine's pause", ours: median(ours), peer: median(theirs), unit: "ms" });
attachment.close();
await monitor.close();
await containers.remove(Id, { force: true });
