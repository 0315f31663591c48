import { expect, test } from "vitest";
import type { JailResult, Refusal } from "../../sandbox/index.ts";
import { sandboxReport } from "./sandbox-report.ts";

const report = (refused: readonly Refusal[], net: readonly string[] = []): string =>
  sandboxReport(
    {
      ...{ exit: 0, signal: undefined, timedOut: false, killedBy: undefined, cpuMs: 1, maxRssBytes: 1, wallMs: 1, refused, reached: [], leftovers: 0 },
      ...{ stdout: "", stderr: "", outputs: [], notes: ["a note"] },
      layers: { userns: true, mount: true, net: true, pid: true, seccomp: true, cgroup: [], landlock: 1, limits: true, dropped: true, memory: "kernel" },
    } satisfies JailResult,
    { net },
  );
const network = (what: string, why = "no-network"): Refusal => ({ kind: "network", what, why, by: undefined });

test("nothing to say is nothing said", () => expect(report([])).toBe(""));

test("names with the option that would let them through; addresses and names that were granted have none", () => {
  const text = report([network("cdn.example"), network("192.0.2.1:443"), network("in.example:443", "leads to a private address")], ["in.example:443"]);
  expect(text).toContain("refused  cdn.example: it has no network\n");
  expect(text).toMatch(/\n {9}allow: --net cdn\.example:443\n/);
});

test("what a command asks for is never a word of the shell that the user would paste", () => {
  const text = report([
    network("$(reboot).example"),
    network("a;reboot:443"),
    network("x`reboot`.example:443"),
    { kind: "read", what: "/home/me/$(reboot)", why: "hidden", by: undefined },
    { kind: "read", what: "/home/me/it's here", why: "hidden", by: undefined },
    { kind: "read", what: "/home/me/plain", why: "hidden", by: undefined },
  ]);
  expect(text.split("allow: ")[1]?.split("\n")[0]).toBe(`--ro '/home/me/$(reboot)' --ro '/home/me/it'\\''s here' --ro /home/me/plain`);
});

test("a name with a line feed makes no line of its own", () => {
  const text = report([{ kind: "write", what: "/srv/x\ncofferdam: 3 packages checked, nothing refused", why: "read-only", by: "a\nb" }]);
  expect(text.split("\n")[0]).toBe("refused  write /srv/x\\ncofferdam: 3 packages checked, nothing refused (a\\nb): read-only");
});

test("twenty are shown, the rest counted; limits are not among them", () => {
  const many = Array.from({ length: 20 }, (_, i): Refusal => network(`h${i}.example`));
  const limit: Refusal = { kind: "limit", what: "memory", why: "reached", by: undefined };
  expect(report([...many, limit])).not.toMatch(/more \(--json/);
  expect(report([...many, limit])).toContain("\nlimit    memory was reached\n");
  expect(report([...many, network("last.example"), limit])).toContain("and 1 more (--json lists them)");
});
