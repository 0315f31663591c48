/**
 * An internet in a namespace, which answers at every address; a host in another, whose way out it is; and what is seen on
 * their wires. No address of this machine is touched.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("attacker.c", import.meta.url));
const NAMES = fileURLToPath(new URL("names-process.ts", import.meta.url));

/** Where containers of the plain bridge are. */
export const PLAIN: Readonly<Record<"gateway" | "mac" | "prefix" | "v6", string>> = {
  gateway: "10.99.0.1",
  mac: "02:00:0a:63:00:01",
  prefix: "10.99.0.",
  v6: "fd99::",
};
export const HOST = "192.0.2.2";

/** What a wire saw: markers, each with where its packet was addressed to. */
export class Sniffer {
  readonly seen: Map<string, Set<string>> = new Map();

  hear(line: string): void {
    const [marker = "", address = "-"] = line.split(" ");
    const places = this.seen.get(marker) ?? new Set();
    this.seen.set(marker, places.add(address));
  }
}

export class Spaces implements AsyncDisposable {
  readonly attacker: string;
  readonly #children: ChildProcess[] = [];
  #internet = 0;
  #host = 0;

  private constructor(attacker: string) {
    this.attacker = attacker;
  }

  static async open(folder: string): Promise<Spaces> {
    const attacker = join(folder, "attacker");
    execFileSync("cc", ["-static", "-O1", "-o", attacker, SOURCE]);
    const spaces = new Spaces(attacker);
    spaces.#internet = await spaces.#space();
    spaces.#host = await spaces.#space();
    const { internet, host } = spaces;
    host(`ip link add up0 type veth peer name down0 netns ${spaces.#internet}`);
    host(`ip address add ${HOST}/24 dev up0`, "ip -6 address add 2001:db8:2::2/64 dev up0 nodad", "ip link set up0 up", "ip link set lo up");
    internet("ip address add 192.0.2.1/24 dev down0", "ip -6 address add 2001:db8:2::1/64 dev down0 nodad", "ip link set down0 up", "ip link set lo up");
    host("ip route add default via 192.0.2.1", "ip -6 route add default via 2001:db8:2::1");
    // Every address is here, but for those that have a route.
    internet("ip route add local 0.0.0.0/0 dev lo table main", "ip -6 route add local ::/0 dev lo table main");
    // A datagram's answer comes from where the question went to only if that address is really there.
    internet("ip address add 203.0.113.53/32 dev lo");
    internet("ip route add 10.99.0.0/24 via 192.0.2.2", "ip -6 route add fd99::/64 via 2001:db8:2::2");
    host(
      `ip link add plain0 address ${PLAIN.mac} type bridge`,
      `ip address add ${PLAIN.gateway}/24 dev plain0`,
      "ip -6 address add fd99::1/64 dev plain0 nodad",
      "ip link set plain0 up",
    );
    host("echo 1 > /proc/sys/net/ipv4/ip_forward", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
    return spaces;
  }

  /** Path of the host's namespace. */
  get hostPath(): string {
    return `/proc/${this.#host}/ns/net`;
  }

  readonly host = (...commands: readonly string[]): void => run(this.#host, commands);
  readonly internet = (...commands: readonly string[]): void => run(this.#internet, commands);

  /** Servers, a name server, and who looks at the wires. */
  async serve(): Promise<{ readonly internet: Sniffer; readonly host: Sniffer }> {
    await this.#start(this.#internet, [this.attacker, "serve", "22", "53", "80", "443", "853", "3128", "8080"]);
    await this.#start(this.#internet, [process.execPath, NAMES]);
    await this.#start(this.#host, [this.attacker, "serve", "8000"]);
    return { internet: await this.sniff(this.#internet), host: await this.sniff(this.#host) };
  }

  /** Another server in the internet, and the name server; for whoever measures. */
  async serveWith(program: readonly string[]): Promise<void> {
    await this.#start(this.#internet, program);
    await this.#start(this.#internet, [process.execPath, NAMES]);
  }

  /** In the network of any process. */
  async sniff(pid: number): Promise<Sniffer> {
    const sniffer = new Sniffer();
    await this.#start(pid, [this.attacker, "sniff"], (line) => sniffer.hear(line));
    return sniffer;
  }

  async listen(pid: number, port: number): Promise<void> {
    await this.#start(pid, [this.attacker, "serve", String(port)]);
  }

  /** Puts a process's network on the plain bridge, as an engine would. @param at the last number of its address. */
  plug(pid: number, at: number): void {
    this.host(`ip link add plain${at} type veth peer name eth0 netns ${pid}`, `ip link set plain${at} master plain0 up`);
    run(pid, [
      // Engines switch it off where nobody asks for it.
      "echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6",
      ...[`ip link set eth0 address ${macAt(at)}`, `ip address add ${PLAIN.prefix}${at}/24 dev eth0`, `ip -6 address add ${PLAIN.v6}${at}/64 dev eth0 nodad`],
      ...["ip link set eth0 up", "ip link set lo up", `ip route add default via ${PLAIN.gateway}`, "ip -6 route add default via fd99::1"],
    ]);
  }

  /** A program of ours that lives in the host's network, and talks in lines. */
  async inHost(program: readonly string[]): Promise<ChildProcess> {
    const child = spawn("nsenter", [`--net=${this.hostPath}`, ...program], { stdio: ["pipe", "pipe", "inherit"] });
    this.#children.push(child);
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.toReversed()) {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    }
  }

  async #space(): Promise<number> {
    const child = spawn("unshare", ["--net", "sh", "-c", "echo up; exec sleep 900"], { stdio: ["ignore", "pipe", "inherit"] });
    this.#children.push(child);
    await once(child.stdout, "data");
    return child.pid ?? 0;
  }

  /** Returns when it says that it is up. The process group goes with it. */
  async #start(pid: number, program: readonly string[], hear: (line: string) => void = () => undefined): Promise<void> {
    const child = spawn("nsenter", [`--net=/proc/${pid}/ns/net`, "setpriv", "--pdeathsig", "KILL", ...program], { stdio: ["ignore", "pipe", "inherit"] });
    this.#children.push(child);
    const lines = createInterface({ input: child.stdout });
    await once(lines, "line");
    lines.on("line", hear);
  }
}

export function macAt(at: number): string {
  return `02:00:0a:63:00:${at.toString(16).padStart(2, "0")}`;
}

function run(pid: number, commands: readonly string[]): void {
  execFileSync("nsenter", [`--net=/proc/${pid}/ns/net`, "sh", "-ec", commands.join("\n")], { stdio: ["ignore", "ignore", "inherit"] });
}
