import { isIP } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseInput } from "../../foundation/index.ts";
import type { IsolationMode, NetworkPolicy } from "../contract.ts";
import { type Address, formatAddress, parseAddress, requireBlock } from "./address.ts";
import { CompiledPolicy } from "./compiled-policy.ts";
import { normalName, requireName } from "./name.ts";
import { networkPolicySchema, rulesOfPolicies } from "./policy-schema.ts";
import { type Protocol, parseRule } from "./rule.ts";

const invalid = (message: string, hint?: string): unknown =>
  expect.objectContaining({
    code: "INVALID_ARGUMENT",
    message: expect.stringContaining(message),
    ...(hint === undefined ? {} : { hint: expect.stringContaining(hint) }),
  });
const policy = (parts: Partial<NetworkPolicy>, closed: readonly string[] = []): CompiledPolicy =>
  new CompiledPolicy({ mode: "moderate", allow: [], deny: [], ...parts }, closed);
const address = (text: string): Address => parseAddress(text) ?? expect.fail(text);
const toName = (compiled: CompiledPolicy, name: string, port = 443, protocol: Protocol = "tcp"): string => {
  const { verdict, reason, rule } = compiled.decide({ name, port, protocol });
  return verdict === "allowed" ? rule : `${verdict} ${reason}`;
};
const toAddress = (compiled: CompiledPolicy, text: string, port = 443, protocol: Protocol = "tcp"): string => {
  const { verdict, reason, rule } = compiled.decide({ address: address(text), port, protocol });
  return verdict === "allowed" ? rule : `${verdict} ${reason}`;
};

test("a name is exact, a wildcard is every depth below and not the apex", () => {
  const compiled = policy({ allow: ["github.com", "*.githubusercontent.com"] });
  expect(toName(compiled, "github.com")).toBe("github.com");
  expect(toName(compiled, "github.com", 80)).toBe("github.com");
  expect(toName(compiled, "api.github.com")).toBe("refused not-allowed");
  expect(toName(compiled, "raw.githubusercontent.com")).toBe("*.githubusercontent.com");
  expect(toName(compiled, "a.b.c.githubusercontent.com")).toBe("*.githubusercontent.com");
  expect(toName(compiled, "githubusercontent.com")).toBe("refused not-allowed");
  expect(toName(compiled, "evilgithubusercontent.com")).toBe("refused not-allowed");
  expect(toName(compiled, "github.com.evil.example")).toBe("refused not-allowed");
});

test("a rule with a port opens that port, one without those of the policy; blocked ports beat both", () => {
  const compiled = policy({ allow: ["a.example", "b.example:8443", "c.example:123/udp", "d.example:22"], allowedPorts: [443, 5432], blockedPorts: [22] });
  expect(toName(compiled, "a.example", 5432)).toBe("a.example");
  expect(toName(compiled, "a.example", 80)).toBe("refused port-not-allowed");
  expect(toName(compiled, "b.example", 8443)).toBe("b.example:8443");
  expect(toName(compiled, "b.example", 443)).toBe("refused port-not-allowed");
  expect(toName(compiled, "c.example", 123, "udp")).toBe("c.example:123/udp");
  expect(toName(compiled, "c.example", 123)).toBe("refused not-allowed");
  expect(toName(compiled, "a.example", 443, "udp")).toBe("refused not-allowed");
  expect(toName(compiled, "d.example", 22)).toBe("refused blocked-port");
  expect(compiled.notes).toEqual(["blocked port 22 beats allow d.example:22"]);
});

test("deny beats allow, by name, wildcard, port and block, and a contradiction is told", () => {
  const compiled = policy({
    allow: ["a.example", "*.b.example", "203.0.113.0/24", "both.example"],
    deny: ["a.example:80", "*.x.b.example", "203.0.113.7", "both.example"],
  });
  expect(toName(compiled, "a.example", 443)).toBe("a.example");
  expect(toName(compiled, "a.example", 80)).toBe("refused denied");
  expect(toName(compiled, "y.b.example")).toBe("*.b.example");
  expect(toName(compiled, "y.x.b.example")).toBe("refused denied");
  expect(toAddress(compiled, "203.0.113.8")).toBe("203.0.113.0/24");
  expect(toAddress(compiled, "203.0.113.7")).toBe("refused denied");
  expect(toName(compiled, "both.example")).toBe("refused denied");
  expect(compiled.resolves("both.example")).toMatchObject({ verdict: "refused", reason: "denied", rule: "both.example" });
  expect(compiled.notes).toEqual(["deny both.example beats allow both.example"]);
  // A denied address stays denied when an allowed name leads there.
  const decision = compiled.decide({ name: "a.example", port: 443, protocol: "tcp" });
  expect(compiled.admits(decision, address("203.0.113.7"), 443, "tcp")).toMatchObject({ verdict: "refused", reason: "denied" });
});

const CLOSED_PLACES: readonly (readonly [string, string])[] = [
  ["169.254.169.254", "metadata"],
  ["::ffff:169.254.169.254", "metadata"],
  ["169.254.170.2", "metadata"],
  ["100.100.100.200", "metadata"],
  ["168.63.129.16", "metadata"],
  ["fd00:ec2::254", "metadata"],
  ["fd20:ce::254", "metadata"],
  ["127.0.0.1", "loopback"],
  ["127.9.9.9", "loopback"],
  ["::1", "loopback"],
  ["169.254.1.1", "link-local"],
  ["fe80::1", "link-local"],
  ["0.0.0.0", "reserved"],
  ["224.0.0.251", "reserved"],
  ["255.255.255.255", "reserved"],
  ["::", "reserved"],
  ["ff02::1", "reserved"],
  ["64:ff9b::a9fe:a9fe", "reserved"],
  ["2002:a9fe:a9fe::1", "reserved"],
  ["::7f00:1", "reserved"],
  ["198.51.100.9", "host"],
  ["10.231.4.1", "host"],
  ["2001:db8:1::5", "host"],
];

test.each(["strict", "moderate", "relaxed"] as const)("closed to every job at %s, whatever allows it, observed or not", (mode) => {
  for (const observe of [false, true]) {
    const closed = ["198.51.100.9", "10.231.0.0/16", "2001:db8:1::/64"];
    const allow = CLOSED_PLACES.map(([place]) => (place.includes(":") ? `[${place}]/128` : `${place}/32`)).filter((rule) => !rule.includes("ffff:"));
    const compiled = policy({ mode, observe, allow: [...allow, "name.example/private"] }, closed);
    const byName = compiled.decide({ name: "name.example", port: 443, protocol: "tcp" });
    for (const [place, kind] of CLOSED_PLACES) {
      expect([place, toAddress(compiled, place)]).toEqual([place, `refused ${kind}`]);
      expect([place, compiled.mayLeadTo("name.example", address(place)).reason]).toEqual([place, kind]);
      expect([place, compiled.admits(byName, address(place), 443, "tcp").reason]).toEqual([place, kind]);
    }
  }
});

test("a name leads to a private address only by /private or a block; relaxed has the networks of the house", () => {
  const compiled = policy({ allow: ["pub.example", "git.corp.example:443/private", "db.example:5432", "10.1.0.0/16:5432"] });
  const leads = (name: string, place: string, port: number): unknown =>
    compiled.admits(compiled.decide({ name, port, protocol: "tcp" }), address(place), port, "tcp").reason ?? "allowed";
  expect(leads("pub.example", "10.0.0.5", 443)).toBe("private-answer");
  expect(leads("pub.example", "fd12::5", 443)).toBe("private-answer");
  expect(leads("pub.example", "203.0.113.5", 443)).toBe("allowed");
  expect(leads("git.corp.example", "10.0.0.5", 443)).toBe("allowed");
  expect(leads("db.example", "10.1.2.3", 5432)).toBe("allowed");
  expect(leads("db.example", "10.2.2.3", 5432)).toBe("private-answer");
  expect(toAddress(compiled, "10.2.2.3", 5432)).toBe("refused private-address");
  expect(toAddress(policy({ mode: "relaxed" }), "10.2.2.3", 5432)).toBe("mode relaxed");
});

test("strict takes no addresses and no IPv6, and says of a block what it is good for", () => {
  const compiled = policy({ mode: "strict", allow: ["203.0.113.0/24:443", "a.example"] });
  expect(toAddress(compiled, "203.0.113.9")).toBe("refused address-literal");
  expect(compiled.mayLeadTo("a.example", address("2606:4700::1")).reason).toBe("ipv6");
  expect(compiled.notes).toEqual(["mode strict takes no addresses: allow 203.0.113.0/24:443 only lets names lead there"]);
});

test("observing opens nothing that is closed: a name beside the address changes nothing", () => {
  const compiled = policy({ observe: true, deny: ["denied.example"], blockedPorts: [22] });
  for (const [name, port] of [
    ["denied.example", 443],
    ["other.example", 443],
    ["other.example", 22],
  ] as const)
    expect(compiled.decide({ name, address: address("169.254.169.254"), port, protocol: "tcp" })).toMatchObject({ verdict: "refused", reason: "metadata" });
});

test("observe lets go what the policy would refuse, and says what it was", () => {
  const compiled = policy({ observe: true, allow: ["a.example"], deny: ["b.example"] });
  expect(toName(compiled, "other.example")).toBe("observed not-allowed");
  expect(toName(compiled, "b.example")).toBe("observed denied");
  expect(toName(compiled, "a.example")).toBe("a.example");
  expect(toAddress(compiled, "8.8.8.8", 53, "udp")).toBe("observed not-allowed");
  expect(compiled.resolves("other.example").verdict).toBe("observed");
});

test.each([
  ["bücher.example", "ASCII", "xn--bcher-kva.example"],
  ["github.com\t", "ASCII", undefined],
  ["github.com ", "no rule for requests", "api.example POST /x"],
  ["api.example /x", "no rule for requests", undefined],
  ["api.example POST", "no rule for requests", undefined],
  ["api.example post /x", "no rule for requests", undefined],
  ["api.example POST x", "no rule for requests", undefined],
  ["api.example POST /x y", "no rule for requests", undefined],
  ["api.example POST /a*b", "no rule for requests", undefined],
  ["api.example POST /a/../b", "no rule for requests", undefined],
  ["api.example POST /a%2Fb", "no rule for requests", undefined],
  ["api.example POST /a?b=c", "no rule for requests", undefined],
  ["10.0.0.0/8 POST /x", "only a name that is allowed", undefined],
  ["api.example:53/udp POST /x", "only a name that is allowed", undefined],
  ["https://github.com/x", "not an address of the web", "host.example:443"],
  ["*", "every name is not a rule", "relaxed"],
  ["*.com", "everybody's names", "*.host.example"],
  ["a.*.example", "an asterisk stands alone", undefined],
  ["*foo.example", "an asterisk stands alone", undefined],
  ["-a.example", "no label", undefined],
  ["a..example", "two dots", undefined],
  ["127.1", "ends in a number", undefined],
  ["0x7f.1", "ends in a number", undefined],
  ["2130706433", "ends in a number", undefined],
  ["a.example:0", "1 to 65535", undefined],
  ["a.example:65536", "1 to 65535", undefined],
  ["a.example/udp", "opened for one port", undefined],
  ["a.example:1/udp/tcp", "one protocol", undefined],
  [`${"a".repeat(64)}.example`, "at most 63", undefined],
  [`${"a.".repeat(127)}aa`, "at most 253", undefined],
  ["10.0.0.1/8", "bits are set behind the prefix", "10.0.0.0/8"],
  ["10.0.0.0/33", "at most 32", undefined],
  ["0.0.0.0/0", "every address is not a rule", "relaxed"],
  ["::/0", "every address is not a rule", "relaxed"],
  ["300.0.0.0/8", "", undefined],
  ["10.0.0/8", "", undefined],
  ["fe80::1%eth0", "", undefined],
  ["10.0.0.0/8/private", "behind a name", undefined],
  ["a/b", "", undefined],
  ["", "", undefined],
  ["a".repeat(1001), "at most 1000", undefined],
])("%s is no rule", (text, message, hint) => {
  expect(() => parseRule(text, "allow")).toThrow(invalid(message, hint));
});

test("rules for requests: a method and a path, literally; what is allowed for every request beats them", () => {
  const compiled = policy({
    allow: ["api.example POST /x", "api.example:8443 GET,HEAD /v1/*", "*.api.example * /open/*", "all.example", "all.example GET /y"],
  });
  expect(compiled.decide({ name: "api.example", port: 443, protocol: "tcp" })).toMatchObject({ verdict: "allowed", requestsOnly: true });
  expect(compiled.decide({ name: "all.example", port: 443, protocol: "tcp" }).requestsOnly).toBeUndefined();
  expect(compiled.notes).toEqual(["allow all.example GET /y says nothing: another rule allows every request there"]);
  const asked = (name: string, port: number, method: string, target: string): string => compiled.permitsRequest(name, port, method, target).verdict;
  for (const [name, port, method, target] of [
    ["api.example", 443, "POST", "/x"],
    ["api.example", 80, "POST", "/x?token=1"],
    ["api.example", 8443, "HEAD", "/v1/"],
    ["b.api.example", 443, "DELETE", "/open/a"],
  ] as const)
    expect(asked(name, port, method, target)).toBe("allowed");
  for (const [name, port, method, target] of [
    ["api.example", 443, "GET", "/x"],
    ["api.example", 443, "post", "/x"],
    ["api.example", 443, "POST", "/x/"],
    ["api.example", 443, "POST", "/%78"],
    ["api.example", 8443, "POST", "/x"],
    ["api.example", 8443, "GET", "/v1"],
    ["api.example", 8443, "GET", "/v1/../x"],
    ["api.example", 8443, "GET", "/v1/%2e%2e/x"],
    ["api.example", 8443, "GET", "/v1/..;/x"],
    ["api.example", 8443, "GET", "/v1//x"],
    ["api.example", 8443, "GET", "/v1/a\\..\\x"],
    ["b.api.example", 443, "GET", "/x"],
  ] as const)
    expect(asked(name, port, method, target)).toBe("refused");
});

test("names: underscore, last dot, case, and the longest one", () => {
  expect(normalName("_dmarc.GitHub.COM.")).toBe("_dmarc.github.com");
  const longest = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`;
  expect(longest).toHaveLength(253);
  expect(requireName(longest, "x")).toBe(longest);
  expect(normalName(`${longest}.`)).toBe(longest);
  expect(normalName(`${longest}e`)).toBeUndefined();
});

test("addresses: one text for each, and every text of Node's own reader is read the same", () => {
  expect(formatAddress(address("2001:0DB8:0:0:0:0:0:1"))).toBe("2001:db8::1");
  expect(formatAddress(address("::ffff:1.2.3.4"))).toBe("1.2.3.4");
  expect(formatAddress(address("1:0:0:2:0:0:0:3"))).toBe("1:0:0:2::3");
  expect(formatAddress(address("::"))).toBe("::");
  for (const text of ["1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "fe80::1%1", "1::2::3", "12345::", "", "g::"]) expect(parseAddress(text)).toBeUndefined();
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const parsed = address(text);
      const again = formatAddress(parsed);
      expect(parseAddress(again)).toEqual(parsed);
      expect(isIP(again)).toBe(parsed.family);
      // A URL is another's reading of the same address.
      if (parsed.family === 6) expect(new URL(`http://[${text}]/`).hostname).toBe(`[${again}]`);
    }),
  );
});

test("a policy is read strictly; minimal is relaxed", () => {
  expect(parseInput(networkPolicySchema, { mode: "minimal", allow: ["a.example"] }, "policy")).toEqual({ mode: "relaxed", allow: ["a.example"], deny: [] });
  expect(() => parseInput(networkPolicySchema, { mode: "strict", alow: [] }, "policy")).toThrow(invalid('did you mean "allow"?'));
  expect(() => parseInput(networkPolicySchema, { mode: "lax" }, "policy")).toThrow(invalid("mode"));
});

test("live policies: ingress names a service of the same job, or is refused with the reason", () => {
  expect(
    rulesOfPolicies(
      {
        ingress: [{ from: "db", ports: [5432] }],
        egress: [
          { to: "packages.example", ports: [443, 8443] },
          { to: "2001:db8::/32", ports: [443] },
          { to: "bad.example", action: "deny" },
        ],
      },
      ["db"],
    ),
  ).toEqual({
    allow: ["packages.example:443", "packages.example:8443", "[2001:db8::/32]:443"],
    deny: ["bad.example"],
    ingress: [{ from: "db", ports: [5432] }],
  });
  expect(() => rulesOfPolicies({ ingress: [{ from: "github.com", ports: [443] }] }, [])).toThrow(invalid("a job listens on nothing from outside", "egress"));
  expect(() => rulesOfPolicies({ ingress: [{ from: "10.0.0.0/8" }] }, ["db"])).toThrow(invalid("a job listens on nothing from outside"));
  expect(() => rulesOfPolicies({ ingress: [{ from: "web" }] }, ["db"])).toThrow(invalid("no service of this job", "services: db"));
  expect(() => rulesOfPolicies({ egress: [{ to: "a\tb" }] }, [])).toThrow(invalid("ASCII"));
  expect(rulesOfPolicies({ egress: [{ to: "api.example POST /x", ports: [8443] }] }, []).allow).toEqual(["api.example:8443 POST /x"]);
});

test("ten thousand rules: the answers are those of a reader who tries every rule", () => {
  const rules = Array.from({ length: 10_000 }, (_, i) =>
    i % 3 === 0 ? `*.n${i}.example` : i % 3 === 1 ? `n${i}.example:${(i % 5) + 440}` : `1.${i >> 8}.${i & 255}.0/24`,
  );
  const started = performance.now();
  const compiled = policy({ allow: rules, deny: ["*.deep.n0.example"] });
  const compiledIn = performance.now() - started;
  expect(toName(compiled, "a.b.n9999.example")).toBe("*.n9999.example");
  expect(toName(compiled, "a.deep.n0.example")).toBe("refused denied");
  expect(toName(compiled, "n1.example", 441)).toBe("n1.example:441");
  expect(toAddress(compiled, "1.0.2.200")).toBe("1.0.2.0/24");
  // No figure is judged here (bench/ does): only that it is not quadratic.
  expect(compiledIn).toBeLessThan(5000);
});

// ------------------------------------------------------------------------------------- against a naive oracle

const LABELS = ["a", "b", "c_d"] as const;
const name = fc.array(fc.constantFrom(...LABELS), { minLength: 1, maxLength: 3 }).map((labels) => `${labels.join(".")}.example`);
const anAddress = fc.constantFrom("203.0.113.1", "203.0.113.129", "203.0.114.1", "10.1.2.3", "2001:db8::1", "2001:db8:1::1");
const aBlock = fc.tuple(anAddress, fc.integer({ min: 8, max: 32 })).map(([text, bits]) => {
  const parsed = address(text);
  const width = parsed.family === 4 ? 32n : 128n;
  const rest = width - BigInt(bits);
  const base = formatAddress({ family: parsed.family, value: (parsed.value >> rest) << rest });
  return parsed.family === 4 ? `${base}/${bits}` : `[${base}/${bits}]`;
});
const aPort = fc.constantFrom(80, 443, 5432);
const anEntry = fc
  .tuple(
    fc.oneof(
      name,
      name.map((text) => `*.${text}`),
      aBlock,
    ),
    fc.option(aPort),
    fc.constantFrom("", "", "/tcp", "/udp"),
  )
  .map(([host, port, word]) => `${host}${port === null ? "" : `:${port}`}${port === null && word === "/udp" ? "" : word}`);

/** Written as the documentation says it, rule by rule, over text. */
function naive(
  parts: NetworkPolicy,
  asked: { readonly name?: string | undefined; readonly place?: string | undefined; readonly port: number; readonly protocol: Protocol },
): string {
  const covers = (text: string, verdict: "allow" | "deny"): boolean => {
    const [, host = "", port, word] =
      /^(.*?)(?::(80|443|5432))?(?:\/(tcp|udp))?$/.exec(text.replace(/^\[(.*)\]/, (_, inside: string) => inside.replaceAll(":", ";"))) ?? [];
    const protocol = word ?? (verdict === "allow" || port !== undefined ? "tcp" : undefined);
    if (protocol !== undefined && protocol !== asked.protocol) return false;
    if (port === undefined ? verdict === "allow" && !(parts.allowedPorts ?? [80, 443]).includes(asked.port) : Number(port) !== asked.port) return false;
    const plain = host.replaceAll(";", ":");
    if (plain.includes("/")) {
      if (asked.place === undefined) return false;
      const block = requireBlock(plain, plain);
      const { family, value } = address(asked.place);
      const bitsOf = (n: bigint): string => n.toString(2).padStart(family === 4 ? 32 : 128, "0");
      return family === block.family && bitsOf(value).slice(0, block.bits) === bitsOf(block.base).slice(0, block.bits);
    }
    if (asked.name === undefined) return false;
    return plain.startsWith("*.") ? asked.name.endsWith(plain.slice(1)) : asked.name === plain;
  };
  if (parts.deny.some((text) => covers(text, "deny"))) return "refused";
  if (parts.blockedPorts?.includes(asked.port)) return "refused";
  const isName = (text: string): boolean => !/\d\/\d|:\/\d|:\d+\/\d/.test(text);
  if (parts.allow.some((text) => isName(text) && covers(text, "allow"))) return "allowed";
  if (parts.mode !== "strict" && parts.allow.some((text) => !isName(text) && covers(text, "allow"))) return "allowed";
  if (parts.mode === "strict" && asked.name === undefined) return "refused";
  if (parts.mode === "relaxed" && (parts.allowedPorts === undefined || parts.allowedPorts.includes(asked.port))) return "allowed";
  return "refused";
}

test("decisions are those of the naive reader", () => {
  let allowed = 0;
  let refused = 0;
  fc.assert(
    fc.property(
      fc.record({
        mode: fc.constantFrom<IsolationMode>("strict", "moderate", "relaxed"),
        allow: fc.array(anEntry, { maxLength: 6 }),
        deny: fc.array(anEntry, { maxLength: 3 }),
        allowedPorts: fc.option(fc.array(aPort, { maxLength: 2 }), { nil: undefined }),
        blockedPorts: fc.option(fc.array(aPort, { maxLength: 1 }), { nil: undefined }),
      }),
      fc.array(
        fc.record({
          name: fc.option(name, { nil: undefined }),
          place: fc.option(anAddress, { nil: undefined }),
          port: aPort,
          protocol: fc.constantFrom<Protocol>("tcp", "udp"),
        }),
        {
          minLength: 1,
          maxLength: 8,
        },
      ),
      (parts, questions) => {
        const compiled = new CompiledPolicy(parts, []);
        for (const asked of questions) {
          if (asked.name === undefined && asked.place === undefined) continue;
          const { verdict } = compiled.decide({
            name: asked.name,
            address: asked.place === undefined ? undefined : address(asked.place),
            port: asked.port,
            protocol: asked.protocol,
          });
          expect([asked, verdict]).toEqual([asked, naive(parts, asked)]);
          if (verdict === "allowed") allowed++;
          else refused++;
        }
      },
    ),
    { numRuns: 2000 },
  );
  // Both answers must have been seen often, or the comparison says little.
  expect(Math.min(allowed, refused)).toBeGreaterThan(500);
});
