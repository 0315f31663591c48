/** Files, images, networks and volumes, against a real engine; see world/engine.ts for another one. */
import { once } from "node:events";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { tar } from "../world/archives.ts";
import { EngineWorld } from "../world/engine.ts";
import { imageArchive } from "../world/images.ts";

const world = new EngineWorld();

describe("files", () => {
  test("a tar goes in and comes out", async () => {
    const id = await world.create(["cat", "/work/deep/file"]);
    const body = "content\n".repeat(100_000);
    await world.engine.containers.putArchive(
      id,
      "/work",
      Readable.from([
        tar([
          { path: "deep/", type: "5", mode: 0o755 },
          { path: "deep/file", body, mode: 0o640 },
        ]),
      ]),
    );
    await world.engine.containers.putArchive(id, "/work", tar([{ path: "second", body: "2" }]));
    const { stat, tar: out } = await world.engine.containers.getArchive(id, "/work/deep/file");
    expect(stat).toMatchObject({ name: "file", size: body.length, linkTarget: "" });
    expect(stat.mode & 0o777).toBe(0o640);
    expect(await text(out)).toContain(body);
    expect(await world.engine.containers.changes(id)).toEqual(
      expect.arrayContaining([
        { Path: "/work/deep/file", Kind: 1 },
        { Path: "/work/second", Kind: 1 },
      ]),
    );
    await world.gone(id);
  });

  test("a refusal of a large stream is read, and the stream is given up", async () => {
    const id = await world.create(["true"]);
    let sent = 0;
    const endless = new Readable({
      read() {
        sent += 65_536;
        this.push(Buffer.alloc(65_536));
      },
    });
    await expect(world.engine.containers.putArchive(id, "/no/such/folder", endless)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(endless.destroyed).toBe(true);
    expect(sent).toBeLessThan(2 ** 20);
    await expect(world.engine.containers.getArchive(id, "/nothing")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(world.engine.containers.statPath(id, "/nothing")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await world.gone(id);
  });

  test("a stream that breaks off is our caller's failure, not the engine's", async () => {
    const id = await world.create(["true"]);
    const broken = new Readable({
      read() {
        this.destroy(new Error("disk gone"));
      },
    });
    await expect(world.engine.containers.putArchive(id, "/work", broken)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await world.gone(id);
  });

  test("a tar that is not read to its end holds nothing", async () => {
    const id = await world.create(["true"]);
    const { tar: out } = await world.engine.containers.getArchive(id, "/");
    await once(out, "readable");
    out.destroy();
    await world.gone(id);
  });
});

describe("images", () => {
  test("load, inspect, tag, history, list, remove", async () => {
    const { archive, id } = imageArchive([{ path: "x", body: "y" }], { reference: "team/app:1", config: { User: "7", ExposedPorts: { "80/tcp": {} } } });
    expect(await world.engine.images.load(Readable.from([archive]))).toEqual(["team/app:1"]);
    expect(await world.engine.images.inspect("team/app:1")).toMatchObject({
      Id: id,
      Os: "linux",
      RepoTags: ["team/app:1"],
      Config: { User: "7" },
      RootFS: { Type: "layers" },
    });
    await world.engine.images.tag(id, "localhost:5000/other");
    expect((await world.engine.images.inspect(id)).RepoTags).toEqual(expect.arrayContaining(["team/app:1", "localhost:5000/other:latest"]));
    expect(await world.engine.images.history(id)).toEqual([expect.objectContaining({ CreatedBy: "test" })]);
    expect((await world.engine.images.list({ filters: { reference: ["team/*"] } })).map(({ Id }) => Id)).toEqual([id]);
    expect(await world.engine.images.remove("team/app:1")).toEqual([expect.objectContaining({ Untagged: "team/app:1" })]);
    expect((await world.engine.images.remove(id)).map(({ Deleted }) => Deleted)).toContain(id);
    await expect(world.engine.images.inspect(id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("a tar of a root becomes an world.image with the configuration it is given", async () => {
    const root = tar([{ path: "hello", body: "hi" }]);
    const id = await world.engine.images.import(root, { reference: "imported:2", changes: ['CMD ["/hello"]', "ENV A=b"] });
    expect(await world.engine.images.inspect("imported:2")).toMatchObject({ Id: id, Config: { Cmd: ["/hello"], Env: ["A=b"] } });
    await world.engine.images.remove(id, { force: true });
    await expect(world.engine.images.import(root, { changes: ["RUN true"] })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test.each([
    ["no archive", Buffer.from("not a tar at all")],
    ["a manifest that names nothing", tar([{ path: "manifest.json", body: '[{"Config":"x.json","RepoTags":null,"Layers":[]}]' }])],
    ["an empty archive", tar([])],
  ])("%s is not loaded", async (_, archive) => {
    await expect(world.engine.images.load(archive)).rejects.toBeInstanceOf(Error);
  });
});

describe("networks and volumes", () => {
  test("a network is made, joined, left and removed", async () => {
    const id = await world.engine.networks.create({
      Name: "job-net",
      Driver: "bridge",
      Internal: true,
      IPAM: { Config: [{ Subnet: "10.213.0.0/28", Gateway: "10.213.0.1" }] },
      Labels: { job: "n" },
    });
    expect(await world.engine.networks.inspect(id)).toMatchObject({
      Name: "job-net",
      Internal: true,
      IPAM: { Config: [{ Subnet: "10.213.0.0/28" }] },
      Labels: { job: "n" },
    });
    expect((await world.engine.networks.list({ filters: { label: ["job=n"] } })).map(({ Id }) => Id)).toEqual([id]);
    const container = await world.running();
    await world.engine.networks.disconnect("none", container);
    await world.engine.networks.connect(id, { Container: container, EndpointConfig: { IPAMConfig: { IPv4Address: "10.213.0.5" }, Aliases: ["web"] } });
    expect((await world.engine.containers.inspect(container)).NetworkSettings.Networks["job-net"]?.IPAddress).toBe("10.213.0.5");
    expect(Object.keys((await world.engine.networks.inspect(id)).Containers)).toEqual([container]);
    await expect(world.engine.networks.remove(id)).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(world.engine.networks.create({ Name: "job-net" })).rejects.toMatchObject({ code: "CONFLICT" });
    await world.engine.networks.disconnect(id, container, { force: true });
    await world.gone(container);
    await world.engine.networks.remove(id);
    await expect(world.engine.networks.inspect(id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("a container is created in its network with an address", async () => {
    await world.engine.networks.create({ Name: "own", IPAM: { Config: [{ Subnet: "10.213.1.0/28" }] } });
    const { stdout } = await world.run(["ip", "-4", "addr"], {
      HostConfig: { NetworkMode: "own" },
      NetworkingConfig: { EndpointsConfig: { own: { IPAMConfig: { IPv4Address: "10.213.1.9" } } } },
    });
    expect(stdout).toContain("10.213.1.9/28");
    await expect(world.engine.networks.create({ Name: "same", IPAM: { Config: [{ Subnet: "10.213.1.0/29" }] } })).rejects.toMatchObject({ code: "CONFLICT" });
    await world.engine.networks.remove("own");
  });

  test("a volume outlives its container, and is removed when nobody uses it", async () => {
    const made = await world.engine.volumes.create({ Name: "cache", Labels: { job: "v" } });
    expect(made).toMatchObject({ Name: "cache", Driver: "local", Labels: { job: "v" } });
    const HostConfig = { NetworkMode: "none", Mounts: [{ Type: "volume", Source: "cache", Target: "/work" } as const] };
    await world.run(["sh", "-c", "echo kept > /work/file"], { HostConfig });
    expect((await world.run(["cat", "/work/file"], { HostConfig })).stdout).toBe("kept\n");
    const user = await world.create(["true"], { HostConfig });
    await expect(world.engine.volumes.remove("cache")).rejects.toMatchObject({ code: "CONFLICT" });
    await world.gone(user);
    expect((await world.engine.volumes.list({ filters: { label: ["job=v"] } })).map(({ Name }) => Name)).toEqual(["cache"]);
    expect((await world.engine.volumes.inspect("cache")).Mountpoint).toMatch(/\/cache\/_data$/);
    await world.engine.volumes.remove("cache");
    await expect(world.engine.volumes.inspect("cache")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});
