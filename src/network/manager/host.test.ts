/** This host's addresses and routes, read from what the kernel writes. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { rangeOf, rangeText } from "../kernel/plan.ts";
import { hostAddresses, hostRoutes } from "./host.ts";

test("its own addresses are all there, of interfaces without a carrier too", () => {
  const told = execFileSync("ip", ["-json", "address"], { encoding: "utf8" });
  const wanted = [...told.matchAll(/"local":"([^"]+)"/g)].map(([, address = ""]) => `${address}/${address.includes(":") ? 128 : 32}`);
  expect(wanted.length).toBeGreaterThan(0);
  expect(new Set(hostAddresses())).toEqual(new Set([...wanted, "127.0.0.0/8"]));
});

test("routes, but for the default one; lines that cannot be read are left out", () => {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-routes-"));
  const path = join(folder, "route");
  const line = (destination: string, mask: string): string => `eth0\t${destination}\t00000000\t0001\t0\t0\t0\t${mask}\t0\t0\t0`;
  writeFileSync(
    path,
    ["Iface\tDestination", line("00000000", "00000000"), line("000011AC", "0000FFFF"), line("0002A8C0", "00FFFFFF"), "nonsense", ""].join("\n"),
  );
  expect(hostRoutes(path).map(rangeText)).toEqual(["172.17.0.0/16", "192.168.2.0/24"]);
  expect(hostRoutes(path)[0]).toEqual(rangeOf("172.17.0.0/16"));
  expect(hostRoutes(join(folder, "nothing"))).toEqual([]);
  rmSync(folder, { recursive: true });
});
