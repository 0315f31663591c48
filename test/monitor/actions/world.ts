/**
 * Where the acts are done: containers of an image with what an intruder looks for in it, and beside them, in the same network
 * and in no other way related, whoever answers at the addresses that they call. Nothing goes beyond that network.
 */
import { execFileSync } from "node:child_process";
import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import type { ContainerEngine } from "../../../src/engine/index.ts";
import type { ArchiveEntry } from "../../world/archives.ts";
import { imageArchive } from "../../world/images.ts";
import { type Held, runHeld } from "../held.ts";
import { type Action, INTRUDER, MARK } from "./action.ts";

export interface Done extends Held {
  /** Paths that are other than in the image. */
  readonly changes: readonly string[];
}

const ADDRESSES = [INTRUDER, "169.254.169.254", "168.63.129.16"];
const PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
const PORTS = [9, 53, 80, 443, 873, 2222, 3333, 4444, 8888, 30080];
/** Programs of the image that are there by name, each with a shell or perl inside: what counts is which file runs. */
const SHELLS = ["apt-get", "debugfs", "java", "kubectl", "rsync", "ssh", "sha1sum", "su", "sudoedit", "useradd"];
const APPLETS =
  "base64 cat chmod cp echo find grep head id insmod ip less ln ls mkdir mount mv nc readlink rm shred sleep tail tr true tty unshare wc wget".split(" ");

const PEER = `
use Socket;
$SIG{CHLD} = "IGNORE";
system("ip", "addr", "add", "$_/32", "dev", "lo") for qw(${ADDRESSES.join(" ")});
for my $port (${PORTS.join(", ")}) {
  next if fork;
  socket S, PF_INET, SOCK_STREAM, 0; setsockopt S, SOL_SOCKET, SO_REUSEADDR, 1;
  bind S, sockaddr_in($port, INADDR_ANY) or die $!; listen S, 50;
  while (accept C, S) {
    if (fork) { close C; next }
    if ($port == 4444) { syswrite C, 'echo "owned by $$" > /tmp/owned; exit' . "\\n"; sysread C, $_, 100; exit }
    sysread C, $asked, 1000;
    if ($asked =~ m{^GET /busybox}) { open B, "/bin/busybox"; local $/; syswrite C, "HTTP/1.0 200 OK\\r\\n\\r\\n" . <B>; exit }
    syswrite C, ($asked =~ /HTTP/ ? "HTTP/1.0 200 OK\\r\\n\\r\\n" : "") . "answer from port $port\\n"; exit;
  }
}
socket U, PF_INET, SOCK_DGRAM, 0; bind U, sockaddr_in(9999, INADDR_ANY) or die $!;
sleep 1; $| = 1; print "ready\\n";
while ($who = recv U, $_, 1000, 0) { send U, "answer from port 9999\\n", 0, $who }
`;

/** A file of this machine, with every link that leads to it. */
function copied(path: string): ArchiveEntry[] {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || stat.isDirectory()) return [];
  if (!stat.isSymbolicLink()) return [{ path: path.slice(1), body: readFileSync(path), mode: stat.mode & 0o777 }];
  const target = readlinkSync(path);
  return [{ path: path.slice(1), type: "2", linkname: target }, ...copied(new URL(target, `file://${path}`).pathname)];
}

function librariesOf(program: string): ArchiveEntry[] {
  const paths = [
    ...execFileSync("ldd", [program])
      .toString()
      .matchAll(/(\/\S+) \(0x/g),
  ].flatMap((match) => match[1] ?? []);
  return paths.map((path): ArchiveEntry => ({ path: path.slice(1), body: readFileSync(path), mode: 0o755 }));
}

function image(): { readonly archive: Buffer; readonly id: string } {
  const bash = readFileSync("/bin/bash");
  const perl = readFileSync("/usr/bin/perl");
  const modules = execFileSync("dpkg", ["-L", "perl-base"])
    .toString()
    .split("\n")
    .filter((path) => path.includes("/perl-base/"));
  const program = (path: string, body: Buffer): ArchiveEntry => ({ path, body, mode: 0o755 });
  const secret = `secret ${MARK}\n`;
  const entries: ArchiveEntry[] = [
    ...["dev/", "proc/", "sys/", "tmp/"].map((path): ArchiveEntry => ({ path, type: "5", mode: path === "tmp/" ? 0o1777 : 0o755 })),
    ...[program("bin/busybox", readFileSync("/bin/busybox")), program("usr/bin/bash", bash)],
    // bash runs programs; busybox's own shell would do the work of some itself.
    ...["bin/sh", "bin/bash"].map((path): ArchiveEntry => ({ path, type: "2", linkname: "../usr/bin/bash" })),
    { path: "etc/passwd", body: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n" },
    ...[program("usr/bin/perl", perl), program("usr/sbin/httpd", perl), program("usr/sbin/mysqld", perl)],
    program("usr/bin/pkexec", perl),
    ...SHELLS.map((name) => program(`usr/bin/${name}`, bash)),
    ...APPLETS.map((applet): ArchiveEntry => ({ path: `bin/${applet}`, type: "2", linkname: "busybox" })),
    ...[...librariesOf("/usr/bin/perl"), ...librariesOf("/bin/bash"), ...modules.flatMap(copied)],
    ...["etc/cron.d/", "etc/apt/", "var/log/", "var/lib/rpm/", "var/lib/data/", "var/www/", "mnt/"].map(
      (path): ArchiveEntry => ({ path, type: "5", mode: 0o755 }),
    ),
    { path: "etc/shadow", body: `root:${MARK}:20000:0:99999:7:::\n`, mode: 0o640 },
    { path: "root/.ssh/", type: "5", mode: 0o700 },
    { path: "root/.ssh/id_ed25519", body: secret, mode: 0o600 },
    { path: "root/.aws/credentials", body: `aws_secret_access_key = ${MARK}\n`, mode: 0o600 },
    ...["root/.bashrc", "root/.bash_history", "var/log/auth.log", "var/lib/data/one", "etc/apt/sources.list"].map(
      (path): ArchiveEntry => ({ path, body: `# ${secret}` }),
    ),
    { path: "docker-entrypoint.sh", body: "#!/bin/sh\n", mode: 0o755 },
  ];
  return imageArchive([...new Map(entries.map((entry) => [entry.path, entry])).values()]);
}

export class ActionWorld {
  readonly #engine: ContainerEngine;
  readonly #image: string;
  readonly #peer: string;

  private constructor(engine: ContainerEngine, image: string, peer: string) {
    this.#engine = engine;
    this.#image = image;
    this.#peer = peer;
  }

  static async start(engine: ContainerEngine): Promise<ActionWorld> {
    const { archive, id } = image();
    await engine.images.load(archive);
    const { Id: peer } = await engine.containers.create({
      ...{ Image: id, Cmd: ["perl", "-e", PEER], Env: [PATH], AttachStdout: true },
      HostConfig: { NetworkMode: "none", CapAdd: ["NET_ADMIN", "NET_BIND_SERVICE"] },
    });
    const { output } = await engine.containers.attach(peer, { tty: false });
    await engine.containers.start(peer);
    let said = "";
    for await (const { bytes } of output) {
      said += Buffer.from(bytes).toString();
      if (said.includes("ready")) return new ActionWorld(engine, id, peer);
    }
    throw new Error(`nobody answers: ${said}`);
  }

  /** Does it, in a container of its own that is gone afterwards. @param watch is told its id before anything runs in it. */
  async run(action: Action, script: string = action.script, watch: (id: string) => Promise<void> = async () => undefined): Promise<Done> {
    const { capabilities = [], terminal = false, user = "", unfiltered = false } = action;
    const container = {
      ...{ Image: this.#image, User: user, Env: [PATH, "CANARY=from-the-job", "HOME=/root"] },
      HostConfig: {
        NetworkMode: `container:${this.#peer}`,
        CapAdd: capabilities,
        SecurityOpt: unfiltered || capabilities.includes("SYS_ADMIN") ? ["seccomp=unconfined", "apparmor=unconfined"] : [],
        Tmpfs: { "/dev/shm": "rw,exec" },
      },
    };
    return await runHeld(this.#engine, { script: `${script}\nexit`, container, terminal, watch }, async (id, held) => ({
      ...held,
      changes: (await this.#engine.containers.changes(id)).map(({ Path }) => Path),
    }));
  }
}
