/** Configurations of strangers: each way to ask for more than a job may have, spelt in every way. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CofferdamError } from "../../foundation/index.ts";
import { judgeCreateBody } from "./foreign.ts";
import { containerProfile } from "./profile.ts";

const medium = containerProfile("medium", "build", "x64");

function controls(host: object, config: object = {}, profile = medium): string[] {
  return judgeCreateBody(JSON.stringify({ Image: "busybox", ...config, HostConfig: host }), profile).refused.map(({ control }) => control);
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return "fine";
  } catch (error) {
    if (error instanceof CofferdamError) return error.code;
    throw error;
  }
}

describe("what opens a container is refused with its control", () => {
  test.each<[string, object]>([
    ["privileged", { Privileged: true }],
    ["pid namespace", { PidMode: "host" }],
    ["pid namespace", { PidMode: "container:abc" }],
    ["ipc namespace", { IpcMode: "host" }],
    ["uts namespace", { UTSMode: "host" }],
    ["user namespace", { UsernsMode: "host" }],
    ["network namespace", { NetworkMode: "host" }],
    ["network namespace", { NetworkMode: "container:abc" }],
    ["devices", { Devices: [{ PathOnHost: "/dev/sda", PathInContainer: "/dev/sda", CgroupPermissions: "rwm" }] }],
    ["devices", { DeviceRequests: [{ Driver: "nvidia" }] }],
    ["devices", { DeviceCgroupRules: ["b 8:* rwm"] }],
    ["engine socket", { Binds: ["/var/run/docker.sock:/var/run/docker.sock"] }],
    ["engine socket", { Mounts: [{ Type: "bind", Source: "/run/containerd/containerd.sock", Target: "/c" }] }],
    ["mounts", { Binds: ["/:/host:ro"] }],
    ["mounts", { Binds: ["named:/data"] }],
    ["mounts", { Mounts: [{ Type: "bind", Source: "/etc", Target: "/e" }] }],
    ["mounts", { Mounts: [{ type: "bind", source: "/etc", target: "/e" }] }],
    ["mounts", { VolumesFrom: ["other"] }],
    ["capabilities", { CapAdd: ["SYS_ADMIN"] }],
    ["capabilities", { CapAdd: ["cap_sys_ptrace"] }],
    ["capabilities", { CapAdd: ["ALL"] }],
    ["security-opt", { SecurityOpt: ["seccomp=unconfined"] }],
    ["security-opt", { SecurityOpt: ["apparmor=unconfined"] }],
    ["security-opt", { SecurityOpt: ["label=disable"] }],
    ["security-opt", { SecurityOpt: ["no-new-privileges=false"] }],
    ["security-opt", { SecurityOpt: ["systempaths=unconfined"] }],
    ["sysctls", { Sysctls: { "kernel.msgmax": "1" } }],
    ["cgroup", { CgroupParent: "/" }],
    ["runtime", { Runtime: "other" }],
    ["groups", { GroupAdd: ["docker"] }],
    ["memory", { OomKillDisable: true }],
    ["memory", { OomScoreAdj: -1000 }],
    ["network", { PortBindings: { "80/tcp": [{ HostPort: "80" }] } }],
    ["unknown key", { privileged: true }],
    ["unknown key", { Binds: "/:/host" }],
    ["unknown key", { SomethingNew: { very: "dangerous" } }],
  ])("%s %j", (control, host) => {
    expect(controls(host)).toEqual([control]);
  });

  test("another spelling of the whole part is no way in", () => {
    for (const key of ["hostconfig", "hostConfig", "HOSTCONFIG", "HoſtConfig"])
      expect(controls({}, { [key]: { Privileged: true } }), key).toEqual(["unknown key"]);
  });

  test("property: every other spelling of a key is refused unless it says nothing", () => {
    const key = fc.constantFrom("Privileged", "PidMode", "Binds", "CapAdd", "SecurityOpt", "Devices");
    fc.assert(
      fc.property(key, fc.infiniteStream(fc.boolean()), (name, upper) => {
        const spelt = [...name].map((letter) => (upper.next().value === true ? letter.toUpperCase() : letter.toLowerCase())).join("");
        fc.pre(spelt !== name);
        expect(controls({ [spelt]: ["x"] })).toEqual(["unknown key"]);
        expect(controls({ [spelt]: null })).toEqual([]);
      }),
    );
  });
});

describe("what a job may say is taken over", () => {
  test("command, variables, folder, terminal, folders in memory", () => {
    const config = {
      Entrypoint: ["/e"],
      Cmd: ["a"],
      Env: ["A=1", "LD_PRELOAD=/x"],
      WorkingDir: "/w",
      Tty: true,
      OpenStdin: true,
      User: "5:6",
      Volumes: { "/v": {} },
    };
    const host = {
      Tmpfs: { "/t": "size=99g" },
      Mounts: [{ Type: "tmpfs", Target: "/m" }],
      CapAdd: ["CAP_CHOWN"],
      CapDrop: ["ALL"],
      NetworkMode: "bridge",
      RestartPolicy: { Name: "always" },
    };
    const { image, request, applied, refused } = judgeCreateBody(JSON.stringify({ Image: "i", ...config, HostConfig: host }), medium);
    expect(refused).toEqual([]);
    expect({ image, request }).toEqual({
      image: "i",
      request: { command: ["/e", "a"], env: { A: "1" }, workingDir: "/w", user: { uid: 5, gid: 6 }, tty: true, stdin: true, scratch: ["/v", "/t", "/m"] },
    });
    expect(applied).toEqual(["no-new-privileges", "seccomp", "memory-limit", "pids-limit", "network-isolation", "no restart", "proven-before-start"]);
  });

  test("root gives way at high", () => {
    const high = containerProfile("high", "none", "x64");
    expect(judgeCreateBody(JSON.stringify({ Image: "i", User: "0:0" }), high).request.user).toBeUndefined();
  });
});

test("hostile texts: too large, no JSON, another type", () => {
  const judge = (text: string) => (): unknown => judgeCreateBody(text, medium);
  expect(codeOf(judge(`{"Image":"${"x".repeat(3 * 2 ** 20)}"}`))).toBe("PAYLOAD_TOO_LARGE");
  for (const text of ["", "[]", "null", "{", '{"Image":1}', "{}", '{"Image":"i","HostConfig":[]}', '{"Image":"i","Tty":"yes"}'])
    expect(codeOf(judge(text)), text).toMatch(/^INVALID_ARGUMENT$/);
  // The last one counts for us and for nobody else: what is sent is written anew.
  expect(codeOf(judge('{"Image":"i","HostConfig":{"Privileged":true},"HostConfig":{}}'))).toBe("fine");
  expect(codeOf(judge('{"Image":"i","__proto__":{"Privileged":true},"HostConfig":{"__proto__":{"Privileged":true}}}'))).toBe("fine");
});
