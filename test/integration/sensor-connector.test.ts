/** Connections where the kernel tells nothing else of the network: the process connector's fallback. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { KernelSensor, type LossEvent, type ProcessEvent, type SocketEvent } from "../../src/monitor/index.ts";
import { has, requires } from "../world/needs.ts";
import { WatchedShell } from "../world/watched-shell.ts";

/** A server at $1 and its client, over a connection of $2 seconds, both gone afterwards. */
const EXCHANGE = `
  ip link set lo up
  perl -MSocket -e '
    my ($address, $seconds) = @ARGV; my $family = $address =~ /:/ ? AF_INET6 : AF_INET;
    my $at = sub { $family == AF_INET ? sockaddr_in($_[0], Socket::inet_pton($family, $address)) : Socket::pack_sockaddr_in6($_[0], Socket::inet_pton($family, $address)) };
    socket S, $family, SOCK_STREAM, 0; bind S, $at->(8123) or die $!; listen S, 5;
    if (fork) { accept C, S; sysread C, $_, 10; wait; exit }
    socket C, $family, SOCK_STREAM, 0; connect C, $at->(8123) or die $!; select undef, undef, undef, $seconds; syswrite C, "x"' "$1" "$2"`;

describe("the sensor by the process connector", () => {
  const sensor = new KernelSensor({ sources: ["connector"] });
  const losses: LossEvent[] = [];

  beforeAll(async () => {
    if (!has("root")) return;
    sensor.on("loss", (loss) => losses.push(loss));
    await sensor.initialize();
  });
  afterAll(() => sensor.close());
  beforeEach((context) => {
    requires(context, "sensor");
    requires(context, "network");
  });

  async function connections(script: string, args: readonly string[], more: readonly string[] = ["--net"]): Promise<SocketEvent[]> {
    await using shell = await WatchedShell.start(script, args, [], more);
    const found: SocketEvent[] = [];
    const hear = (event: ProcessEvent): void => {
      if (event.kind === "connect" || event.kind === "accept") found.push(event);
    };
    sensor.on("event", hear);
    await using watch = await sensor.watch({ job: "job", container: "box", pid: shell.pid });
    expect(await shell.go()).toBe("");
    await watch.close();
    sensor.off("event", hear);
    return found;
  }

  test.each([
    ["127.0.0.1", "0", "gone before anybody looked"],
    ["127.0.0.1", "1.5", "seen while it lived"],
    ["::1", "0", "by IPv6"],
  ])("a connection to %s of %s s, %s: both ends, each once, with addresses from the kernel and nobody's name", async (address, seconds) => {
    const found = await connections(EXCHANGE, [address, seconds]);
    expect(found).toHaveLength(2);
    const remote = { address, port: 8123 };
    const client = { kind: "connect", actor: { pid: 0 }, job: "job", container: "box", socket: { type: "stream", claimed: false, remote } };
    expect(found).toContainEqual(expect.objectContaining({ kind: "accept" }));
    expect(found.find(({ kind }) => kind === "connect")).toMatchObject(client);
    expect(found.find(({ kind }) => kind === "accept")?.socket.local).toEqual(remote);
  });

  test("a datagram socket with a destination", async () => {
    const script = `ip link set lo up; perl -MSocket -e 'socket C, PF_INET, SOCK_DGRAM, 0; connect C, sockaddr_in(53, inet_aton("127.0.0.53"))'`;
    expect(await connections(script, [])).toMatchObject([{ kind: "connect", socket: { type: "datagram", remote: { address: "127.0.0.53", port: 53 } } }]);
  });

  test("a thousand short ones in a second: each is told, or counted as lost", async () => {
    const before = losses.length;
    const script = `ip link set lo up
      perl -MSocket -e 'socket S, PF_INET, SOCK_STREAM, 0; bind S, sockaddr_in(8123, INADDR_ANY); listen S, 1000;
        for (1 .. 1000) { socket C, PF_INET, SOCK_STREAM, 0; connect C, sockaddr_in(8123, INADDR_LOOPBACK) or die $!; close C; accept D, S; close D }'`;
    const found = await connections(script, []);
    const told = found.filter(({ kind, socket }) => kind === "connect" && socket.remote?.port === 8123).length;
    if (losses.slice(before).every(({ where }) => where !== "ring")) expect(told).toBe(1000);
    expect(told).toBeGreaterThan(900);
  });

  test("a process in the host's network: its connections are not told, since the host's would be", async () => {
    expect(await connections(EXCHANGE, ["127.0.0.1", "0"], [])).toEqual([]);
  });
});
