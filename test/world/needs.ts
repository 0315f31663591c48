/** What a test needs of the machine. Missing: skipped with the reason, or a failure under REQUIRE_ALL=1. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "vitest";
import { packageFolder } from "../../src/foundation/index.ts";
import type { SensorSource } from "../../src/monitor/index.ts";
import { locateJailHelper } from "../../src/sandbox/index.ts";

export type Need =
  | "arm64"
  | "audit"
  | "bwrap"
  | "container"
  | "curl"
  | "docker"
  | "jail"
  | "network"
  | "openssl"
  | "python3"
  | "qemu"
  | "root"
  | "script"
  | "sensor";

const BWRAP = "/usr/bin/bwrap";
const GUEST = ["/usr/bin/qemu-system-x86_64", "/bin/busybox", "/usr/bin/cpio", "/usr/bin/apt-get"];
/** For a dockerd of our own (docker.ts) and its images: one of each line. */
const ENGINE = [["/usr/sbin/dockerd", "/usr/bin/dockerd"], ["/bin/busybox"]];
const PROGRAMS = ["shim", "place"].map((name) => join(packageFolder(), "dist", "native", `cofferdam-${name}-${process.arch}`));
const SENSOR = join(packageFolder(), "dist", "native", `cofferdam-sensor-${process.arch}`);
/** Built and fetched by `./dev test --full`. */
const ARM64 = [
  join(packageFolder(), "dist/native/cofferdam-sensor-arm64"),
  join(packageFolder(), ".dev/arm64/guest/boot"),
  "/usr/bin/qemu-system-aarch64",
  "/usr/bin/aarch64-linux-gnu-gcc",
  "/usr/bin/cpio",
];
const NETWORK = [join(packageFolder(), "dist", "native", `cofferdam-net-${process.arch}`), "/usr/sbin/nft", "/usr/sbin/ip", "/usr/bin/nsenter"];
/** Each says what is missing, or nothing. */
const NEEDS: Readonly<Record<Need, () => string | undefined>> = {
  root: () => (process.getuid?.() === 0 ? undefined : "root"),
  bwrap: () => (existsSync(BWRAP) ? undefined : "bwrap"),
  container: () => (PROGRAMS.every((path) => existsSync(path)) ? undefined : "the container's native programs: ./dev setup builds them"),
  docker: () => (process.getuid?.() === 0 ? ENGINE.find((names) => !names.some((name) => existsSync(name)))?.[0] : "root"),
  network: () => (process.getuid?.() !== 0 ? "root" : NETWORK.find((path) => !existsSync(path))),
  openssl: () => (existsSync("/usr/bin/openssl") ? undefined : "openssl"),
  curl: () => (existsSync("/usr/bin/curl") ? undefined : "curl"),
  python3: () => (existsSync("/usr/bin/python3") ? undefined : "python3"),
  script: () => (existsSync("/usr/bin/script") ? undefined : "script (bsdutils): a terminal for a program"),
  arm64: () => ARM64.find((path) => !existsSync(path)),
  qemu: () => GUEST.find((path) => !existsSync(path)),
  sensor: once(() => missingSource("ebpf")),
  audit: once(() => missingSource("audit")),
  jail: () => (!existsSync(BWRAP) ? "bwrap" : isBuilt() ? undefined : "the jail's native helper: ./dev setup builds it"),
};

/** @param what a program that `./dev` installs or builds. */
export function requires(context: TestContext, what: Need): void {
  const missing = NEEDS[what]();
  if (missing === undefined) return;
  if (process.env["REQUIRE_ALL"] === "1") throw new Error(`requires ${missing}, and REQUIRE_ALL=1 is set`);
  context.skip(`requires ${missing}`);
}

/** For what is set up once for many tests, which then each say `requires`. */
export function has(what: Need): boolean {
  return NEEDS[what]() === undefined;
}

/** Why the sensor has nothing to tell by a source. */
function missingSource(source: SensorSource): string | undefined {
  if (process.getuid?.() !== 0) return "root";
  if (!existsSync(SENSOR)) return "the kernel sensor: ./dev setup builds it";
  // Without a reader it ends as soon as it could begin.
  const { status, stderr } = spawnSync(SENSOR, [source], { input: "" });
  return status === 0 ? undefined : `a kernel that takes the sensor (${source}): ${stderr.toString().trim()}`;
}

/** For a look that takes its time. */
function once(look: () => string | undefined): () => string | undefined {
  let found: { readonly missing: string | undefined } | undefined;
  return () => {
    found ??= { missing: look() };
    return found.missing;
  };
}

function isBuilt(): boolean {
  try {
    locateJailHelper();
    return true;
  } catch {
    return false;
  }
}
