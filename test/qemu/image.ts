/**
 * A kernel of the distribution and a small system around our dist/. The kernel comes from apt, is unpacked and not installed,
 * and is kept in the user's cache by name and version; the system is put together each time, which takes a second.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));
const CACHE = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "cofferdam", "kernels");
/** Depends on the newest kernel for virtual machines. */
const KERNEL = "linux-image-cloud-amd64";

/** Path of the kernel. Throws when apt cannot give one. */
export function fetchKernel(): string {
  const name = /Depends: (linux-image-\S+)/.exec(text("apt-cache", ["depends", KERNEL]))?.[1];
  const version = name === undefined ? undefined : /Candidate: (\S+)/.exec(text("apt-cache", ["policy", name]))?.[1];
  if (name === undefined || version === undefined) throw new Error(`apt knows no ${KERNEL}: apt-get update`);
  const kernel = join(CACHE, `${name}_${version.replaceAll(":", "_")}`);
  if (existsSync(kernel)) return kernel;
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, "fetch-"));
  try {
    text("apt-get", ["download", "-q", name], work);
    const [archive = ""] = readdirSync(work);
    text("dpkg-deb", ["-x", archive, "tree"], work);
    const image = readdirSync(join(work, "tree/boot")).find((file) => file.startsWith("vmlinuz-"));
    if (image === undefined) throw new Error(`${archive} holds no kernel`);
    renameSync(join(work, "tree/boot", image), kernel);
  } finally {
    rmSync(work, { recursive: true });
  }
  return kernel;
}

/** Writes the archive that the kernel starts from. */
export function writeSystem(archive: string): void {
  const root = mkdtempSync(join(tmpdir(), "cofferdam-guest-"));
  try {
    chmodSync(root, 0o755);
    for (const folder of ["usr/bin", "usr/lib", "usr/lib64", "etc", "proc", "sys", "dev", "run", "tmp", "root", "srv/cofferdam"])
      mkdirSync(join(root, folder), { recursive: true });
    // The user's.
    mkdirSync(join(root, "home/user"), { recursive: true });
    for (const [link, target] of Object.entries({ bin: "usr/bin", sbin: "usr/bin", lib: "usr/lib", lib64: "usr/lib64" })) symlinkSync(target, join(root, link));
    for (const program of [process.execPath, "/usr/bin/bwrap"]) {
      place(root, program, `/usr/bin/${basename(program)}`);
      for (const [, library = ""] of text("ldd", [program]).matchAll(/(\/\S+) \(0x/g)) place(root, library, library);
    }
    place(root, "/bin/busybox", "/usr/bin/busybox");
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n");
    writeFileSync(join(root, "etc/group"), "root:x:0:\nuser:x:1000:\n");
    const ours = join(root, "srv/cofferdam");
    for (const path of ["package.json", "dist", "test/qemu", ...dependencies()]) cpSync(join(CHECKOUT, path), join(ours, path), { recursive: true });
    place(root, join(CHECKOUT, "test/qemu/guest/init"), "/init");
    archiveFolder(root, archive);
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** Everything in a folder, as root's, in the form that a kernel unpacks. */
export function archiveFolder(root: string, archive: string): void {
  const entries = text("find", [".", "-print0"], root);
  execFileSync("cpio", ["--create", "--null", "--format=newc", "--owner=0:0", "--quiet", `--file=${archive}`], { cwd: root, input: entries });
}

/** The packages that dist/ needs. */
function dependencies(): string[] {
  const { packages } = JSON.parse(readFileSync(join(CHECKOUT, "package-lock.json"), "utf8")) as { packages: Record<string, { dev?: boolean }> };
  return Object.entries(packages).flatMap(([path, { dev }]) => (path === "" || dev === true || !existsSync(join(CHECKOUT, path)) ? [] : [path]));
}

function place(root: string, from: string, to: string): void {
  const target = join(root, to.startsWith("/lib") ? `/usr${to}` : to);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(realpathSync(from), target);
  chmodSync(target, 0o755);
}

function text(program: string, args: readonly string[], cwd = "/"): string {
  return execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 2 ** 26 });
}
