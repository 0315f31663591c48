/** The samples of the seed's NetworkIsolationManager, as they are written there. */
import { expect, test } from "vitest";
import { EngineClient } from "../../src/engine/index.ts";
import { NetworkIsolationManager } from "../../src/index.ts";
import { startDocker } from "../world/docker.ts";
import { busyboxImage } from "../world/images.ts";
import { requires } from "../world/needs.ts";

test("create, connect, apply, monitor; ingress from a name is refused, with what to write instead", async (context) => {
  requires(context, "docker");
  requires(context, "network");
  await using docker = await startDocker();
  await using dockerAPI = new EngineClient(docker.socketPath);
  const image = await busyboxImage(dockerAPI);
  await dockerAPI.containers.create({ Image: image, Cmd: ["sleep", "60"], HostConfig: { NetworkMode: "none" } }, { name: "container123" });
  await dockerAPI.containers.start("container123");
  const options = { isolationMode: "moderate", enableDNSFiltering: true, allowedDomains: ["github.com"], customNetworkPolicies: {} } as const;
  await using networkManager = new NetworkIsolationManager(dockerAPI, options);
  await networkManager.initialize();
  const network = await networkManager.createIsolatedNetwork("job123", { allowInternet: false, allowedPorts: [80, 443], customDNS: ["8.8.8.8"] });
  expect(network).toMatchObject({ jobId: "job123", mode: "moderate", gateway: "198.18.0.1" });
  await networkManager.connectContainerToNetwork("container123", "job123");
  await expect(
    networkManager.applyNetworkPolicies("job123", {
      ingress: [{ from: "github.com", ports: [443] }],
      egress: [{ to: "packages.example", ports: [443] }],
    }),
  ).rejects.toMatchObject({ code: "INVALID_ARGUMENT", hint: expect.stringContaining("egress") });
  expect(await networkManager.applyNetworkPolicies("job123", { egress: [{ to: "packages.example", ports: [443] }] })).toMatchObject({ cut: 0 });
  const traffic = await networkManager.monitorNetworkTraffic("job123");
  expect(traffic).toMatchObject({ jobId: "job123", connections: [], dns: [], violations: [] });
  await networkManager.removeNetwork("job123");
});
