/** The body of a container: what it says at each level, and what cannot be made to stand in it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CofferdamError } from "../../foundation/index.ts";
import type { Level } from "../../policy/index.ts";
import { type CreatePlan, planContainer } from "./create-body.ts";
import { containerProfile, type ProfileName } from "./profile.ts";
import { type JobContainer, parseJobContainer } from "./spec.ts";

const FOLDER = "/run/cofferdam/jobs/a";
const JOB: JobContainer = {
  jobId: "a",
  imageId: `sha256:${"1".repeat(64)}`,
  command: ["/bin/true"],
  env: {},
  tty: false,
  stdin: false,
  limits: { Memory: 2 ** 28, MemorySwap: 2 ** 28 },
  mounts: [],
  scratch: [],
};
const LEVELS: readonly Level[] = ["low", "medium", "high", "paranoid"];

function plan(level: Level, change: Partial<JobContainer> = {}, imageConfig: unknown = {}, name: ProfileName = "build"): CreatePlan {
  const profile = containerProfile(level, name, "x64");
  return planContainer({ container: { ...JOB, ...change }, profile, imageConfig, folder: FOLDER, gate: `${FOLDER}/gate`, waitSeconds: 10 });
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CofferdamError) return `${error.code} ${error.details["control"] ?? ""}: ${error.message}`;
    throw error;
  }
  return "accepted";
}

describe("what every level closes", () => {
  test.each(LEVELS)("%s: no host namespace, no device, no restart, our log, our filter", (level) => {
    const { HostConfig: host, Healthcheck } = plan(level).body;
    expect(host).toMatchObject({
      NetworkMode: "none",
      PidMode: "",
      UTSMode: "",
      UsernsMode: "",
      IpcMode: "private",
      CgroupnsMode: "private",
      Privileged: false,
      Devices: [],
      CapDrop: ["ALL"],
      RestartPolicy: { Name: "no" },
      LogConfig: { Type: "json-file", Config: { "max-file": "2", "max-size": "16m" } },
      OomKillDisable: false,
      Memory: 2 ** 28,
      MemorySwap: 2 ** 28,
      PidsLimit: 1000,
    });
    expect(Healthcheck).toEqual({ Test: ["NONE"] });
    expect(host?.SecurityOpt?.some((option) => option.startsWith("seccomp={"))).toBe(true);
    expect(host?.Mounts?.every(({ Source }) => Source?.startsWith(`${FOLDER}/`))).toBe(true);
  });

  test("the table of levels", () => {
    const row = (level: Level, name: ProfileName = "build"): unknown => {
      const { User, HostConfig: host } = plan(level, {}, {}, name).body;
      return [host?.CapAdd?.length, host?.SecurityOpt?.includes("no-new-privileges:true"), host?.ReadonlyRootfs, User];
    };
    expect(row("low")).toEqual([9, false, false, ""]);
    expect(row("medium")).toEqual([5, true, false, ""]);
    expect(row("medium", "none")).toEqual([0, true, false, ""]);
    expect(row("high")).toEqual([0, true, true, "65534:65534"]);
    expect(row("paranoid")).toEqual([0, true, true, "65534:65534"]);
  });
});

describe("the image's own configuration", () => {
  test("is taken over where it helps, and dropped or emptied where it does not", () => {
    const { body, expected, notes } = plan(
      "medium",
      { command: undefined, env: { CI: "1", PATH: "/opt/bin:/bin" } },
      {
        Entrypoint: ["/entry"],
        Cmd: ["serve"],
        Env: ["PATH=/usr/bin", "LANG=C", "LD_PRELOAD=/evil.so", "COFFERDAM_LEVEL=low", "NOVALUE", "A-B=1", "=x"],
        WorkingDir: "/app/",
        Volumes: { "/data/": {} },
        Labels: { "traefik.enable": "true", "cofferdam.job": "other" },
        Healthcheck: { Test: ["CMD", "/evil"], Interval: 1 },
        StopSignal: "SIGQUIT",
        OnBuild: ["RUN /evil"],
      },
    );
    expect([...(body.Entrypoint ?? []), ...(body.Cmd ?? [])]).toEqual(["/.cofferdam/shim", "10", "/entry", "serve"]);
    expect(body).toMatchObject({ WorkingDir: "/app", StopSignal: "SIGQUIT", Labels: { "traefik.enable": "", "cofferdam.job": "a" } });
    expect(Object.keys(body.HostConfig?.Tmpfs ?? {})).toEqual(["/data"]);
    expect(expected.env.toSorted()).toEqual(["A-B=1", "CI=1", "HOME=/root", "HOSTNAME=job", "LANG=C", "PATH=/opt/bin:/bin"]);
    expect(body.Env).toEqual([...expected.env, "LD_PRELOAD", "COFFERDAM_LEVEL", "NOVALUE"]);
    expect(notes).toHaveLength(4);
  });

  test("its user: taken at medium; at high never root, under no name", () => {
    expect(plan("medium", {}, { User: "node" }).body.User).toBe("node");
    expect(plan("medium", {}, { User: "node" }).expected.env.some((one) => one.startsWith("HOME="))).toBe(false);
    for (const user of ["", "root", "toor", "0:0", "0:5", "5:0", "7"]) expect(plan("high", {}, { User: user }).body.User, user).toBe("65534:65534");
    expect(plan("high", {}, { User: "1000:1000" }).body.User).toBe("1000:1000");
    expect(plan("high", { user: { uid: 12, gid: 13 } }).body.HostConfig?.Tmpfs?.["/home/job"]).toContain("mode=700,uid=12,gid=13");
    expect(refusal(() => plan("high", { user: { uid: 0, gid: 0 } }))).toContain("SECURITY_VIOLATION user: level high runs no job as root");
    expect(refusal(() => plan("medium", {}, { User: "a b" }))).toContain("SECURITY_VIOLATION user");
  });

  test("volumes at places that are the kernel's or ours are refused", () => {
    for (const path of ["/", "/proc", "/proc/sys", "/.cofferdam/shim", "/etc", "/dev/shm", "/sys/fs/cgroup"])
      expect(
        refusal(() => plan("medium", {}, { Volumes: { [path]: {} } })),
        path,
      ).toContain("SECURITY_VIOLATION mounts");
    for (const path of ["relative", "/a/../etc", "/a\n/b", "//x", `/${"x".repeat(5000)}`])
      expect(
        refusal(() => plan("medium", {}, { Volumes: { [path]: {} } })),
        path,
      ).toContain("SECURITY_VIOLATION volumes");
    // Our own mount stands there already, and the engine makes no volume.
    for (const path of ["/.cofferdam", "/etc/hosts"]) expect(plan("medium", {}, { Volumes: { [path]: {} } }).body.HostConfig?.Tmpfs).toEqual({});
    expect(Object.keys(plan("medium", {}, { Volumes: { "/etc/app": {} } }).body.HostConfig?.Tmpfs ?? {})).toEqual(["/etc/app"]);
  });

  test("property: whatever an image says, the answer is a body with the same controls or a refusal", () => {
    const anything = fc.dictionary(
      fc.constantFrom("Env", "Cmd", "User", "Volumes", "Labels", "Entrypoint", "WorkingDir", "StopSignal", "Healthcheck"),
      fc.jsonValue(),
    );
    const clean = plan("high").body.HostConfig;
    fc.assert(
      fc.property(anything, (image) => {
        const said = refusal(() => {
          const { body } = plan("high", {}, image);
          expect({ ...body.HostConfig, Tmpfs: undefined }).toEqual({ ...clean, Tmpfs: undefined });
          expect(body.User).toMatch(/^[1-9]\d*:[1-9]\d*$/);
        });
        expect(said).toMatch(/^(accepted|SECURITY_VIOLATION)/);
      }),
    );
  });
});

describe("mounts", () => {
  const mount = (source: string, target = "/work"): string => refusal(() => plan("medium", { mounts: [{ source, target, readOnly: false }] }));

  test("only from the job's own folder, and never the gate", () => {
    expect(mount(`${FOLDER}/work`)).toBe("accepted");
    for (const source of [
      "/",
      "/etc",
      "/var/run/docker.sock",
      "/run/cofferdam/jobs",
      "/run/cofferdam/jobs/ab",
      `${FOLDER}/gate`,
      `${FOLDER}/gate/gate`,
      FOLDER,
    ])
      expect(mount(source), source).toContain("SECURITY_VIOLATION mounts");
    for (const source of [`${FOLDER}/../b`, "work", `${FOLDER}//work`]) expect(mount(source), source).toContain("INVALID_ARGUMENT");
  });

  test("and never over what is the kernel's or ours", () => {
    for (const target of ["/", "/proc", "/sys/fs", "/dev", "/.cofferdam", "/etc"])
      expect(mount(`${FOLDER}/work`, target), target).toContain("SECURITY_VIOLATION mounts");
  });
});

test("no memory limit is a matter of level low", () => {
  expect(plan("low", { limits: { MemoryReservation: 2 ** 28 } }).body.HostConfig).toMatchObject({ MemoryReservation: 2 ** 28, PidsLimit: 1000 });
  expect(refusal(() => plan("medium", { limits: {} }))).toContain("SECURITY_VIOLATION memory");
});

test("keys that would open the container do not exist", () => {
  for (const key of ["privileged", "Privileged", "HostConfig", "hostConfig", "network", "pid", "devices", "capAdd", "securityOpt", "sysctls", "__proto__x"])
    expect(
      refusal(() => parseJobContainer({ ...JOB, [key]: true })),
      key,
    ).toContain("INVALID_ARGUMENT");
});
