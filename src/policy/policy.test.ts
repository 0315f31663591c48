import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { Clock } from "../foundation/index.ts";
import {
  addAllowance,
  type EffectivePolicy,
  KEYS,
  LEVELS,
  loadPolicy,
  type PolicyFile,
  type PolicyRequest,
  type PolicyValues,
  presetOf,
  SCRIPT_EXCEPTIONS,
  TrustStore,
} from "./index.ts";
import { JOB_NETWORKS } from "./jobs.ts";
import { parsePolicy } from "./parse.ts";

let base: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "cofferdam-policy-")));
  for (const name of ["repo/.git", "repo/sub", "etc", "home/.config/cofferdam"]) mkdirSync(join(base, name), { recursive: true });
});
afterEach(() => rmSync(base, { recursive: true }));

const POLICY_KEYS: readonly (keyof PolicyValues)[] = [
  "level",
  "mode",
  "packages.registries",
  "packages.allow",
  "scripts.approved",
  "scripts.grants",
  "scripts.exceptions",
  "advisories.osv",
  "advisories.kev",
  "advisories.deny",
  "advisories.only-fixable",
  "advisories.only-new",
  "advisories.exploited",
  "advisories.ratchet",
  "advisories.base",
  "advisories.warn-age",
  "advisories.deny-age",
  "audit.checkpoint.events",
  "audit.checkpoint.interval",
  "audit.copy",
  "audit.copy-within",
  "audit.witnesses",
  "audit.retention.default",
  "audit.retention.categories",
  "audit.retention.standards",
  "jobs.profile",
  "jobs.authorization",
  "jobs.unscanned",
  "jobs.network",
  "jobs.egress",
  "jobs.on-refusal",
  "jobs.name-servers",
  "jobs.timeout",
  "jobs.log",
  "jobs.secrets",
  "jobs.secret-variables",
  "jobs.monitor",
  "jobs.monitor-rules",
  "jobs.suspicious",
  "jobs.evidence-keep",
  "jobs.evidence-size",
  "quota.enforcement",
  "quota.host-share",
  "quota.slots",
  "quota.overcommit",
  "quota.overcommit-ratio",
  "quota.defaults",
  "quota.ceiling",
  "quota.tiers",
  "quota.organisations",
  "quota.repositories",
  "secrets.backend",
  "secrets.key",
  "secrets.passphrase-file",
  "secrets.key-command",
  "secrets.grace",
  "secrets.rotate-every",
  "secrets.rotate-after-use",
  "secrets.lease",
  "secrets.reads-per-job",
  "secrets.providers",
  "secrets.vault",
  "identity.issuer",
  "identity.audience",
  "identity.jobs",
  "limits.tarball",
  "limits.unpacked",
  "limits.entries",
  "limits.timeout",
  "limits.concurrency",
  "thresholds.integrity",
  "thresholds.audit",
  "thresholds.protection",
  "locks",
];
const REPO = "repo/cofferdam.yaml";
const USER = "home/.config/cofferdam/cofferdam.yaml";
const ETC = "etc/cofferdam.yaml";
const write = (path: string, content: object | string): void =>
  writeFileSync(join(base, path), typeof content === "string" ? content : stringify({ version: 1, ...content }));
const load = (more: Partial<PolicyRequest> = {}): Promise<EffectivePolicy> =>
  loadPolicy({ cwd: join(base, "repo/sub"), env: { HOME: join(base, "home") }, etcFolder: join(base, "etc"), ...more });

describe("a broken file says where", () => {
  test.each([
    ["levle: high\n", /cofferdam\.yaml:2:1: levle: unknown key \(did you mean "level"\?\)/],
    ["packages:\n  registires: []\n", /:3:3: packages\.registires: unknown key \(did you mean "registries"\?\)/],
    ["level: hgih\n", /:2:1: level: /],
    ["level: high\nlevel: low\n", /:3:1: Map keys must be unique/],
    ["limits: {tarball: 5}\n", /limits\.tarball/],
    ["limits: {tarball: 5 potatoes}\n", /not a size/],
    ["a: &a [1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c]\n", /alias|unknown key/],
    ["packages: {allow: [{what: missing-hash a@1}]}\n", /reason/],
    ["\tlevel: high\n", /:2:/],
  ])("%j", (text, words) => {
    expect(() => parsePolicy(`version: 1\n${text}`, "cofferdam.yaml")).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringMatching(words) }),
    );
  });

  test("256 KiB pass, one byte more does not; a link is refused", async () => {
    const text = "version: 1\n";
    write(REPO, `${text}#${"x".repeat(256 * 1024 - text.length - 1)}`);
    expect((await load()).sources).toEqual(["cofferdam.yaml"]);
    write(REPO, `${text}#${"x".repeat(256 * 1024 - text.length)}`);
    await expect(load()).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    rmSync(join(base, REPO));
    write("other.yaml", {});
    symlinkSync(join(base, "other.yaml"), join(base, REPO));
    await expect(load()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

test("precedence: preset, /etc, user, repository, --config, environment, flag", async () => {
  const level = async (more?: Partial<PolicyRequest>): Promise<string> => (await load(more)).values.level;
  expect(await level()).toBe("medium");
  write(ETC, { level: "low" });
  expect(await level()).toBe("low");
  write(USER, { level: "medium" });
  expect(await level()).toBe("medium");
  write(REPO, { level: "high" });
  expect(await level()).toBe("high");
  write("named.yaml", { level: "low" });
  const env = { HOME: join(base, "home"), COFFERDAM_LEVEL: "paranoid" };
  expect(await level({ configPath: join(base, "named.yaml") })).toBe("low");
  expect(await level({ configPath: join(base, "named.yaml"), env })).toBe("paranoid");
  expect(await level({ env, flags: { level: "high" } })).toBe("high");
  const origin = (await load({ env })).origins.get("level");
  expect(origin).toEqual({ source: "environment", over: ["cofferdam.yaml:2", `${join(base, USER)}:2`, `${join(base, ETC)}:2`] });
});

describe("locks", () => {
  test("of /etc bind user, environment and flags, and name the place", async () => {
    write(ETC, { level: "high", locks: ["level"] });
    await expect(load({ flags: { level: "low" } })).rejects.toMatchObject({ code: "POLICY_LOCKED", message: expect.stringContaining("etc/cofferdam.yaml:3") });
    await expect(load({ env: { HOME: join(base, "home"), COFFERDAM_LEVEL: "low" } })).rejects.toMatchObject({ code: "POLICY_LOCKED" });
    write(USER, { level: "low" });
    await expect(load()).rejects.toMatchObject({ code: "POLICY_LOCKED", message: expect.stringMatching(/home.*cofferdam\.yaml:2/) });
  });

  test("asking for the same value is fine; a repository's locks bind nobody", async () => {
    write(ETC, { level: "high", locks: ["level"] });
    expect((await load({ flags: { level: "high" } })).values.level).toBe("high");
    rmSync(join(base, ETC));
    write(REPO, { level: "high", locks: ["level"] });
    const repository = await load({ flags: { level: "low" } });
    expect(repository.values.level).toBe("low");
    expect(repository.values.locks).toEqual([]);
  });

  test("a repository that would loosen a locked key is ignored and said; it does not stop anybody's work", async () => {
    write(ETC, { level: "high", locks: ["level"] });
    write(REPO, { level: "low" });
    const { values, notices } = await load();
    expect(values.level).toBe("high");
    expect(notices).toEqual([expect.stringContaining("cofferdam.yaml:2 loosens level")]);
    write(REPO, { level: "paranoid" });
    await expect(load()).rejects.toMatchObject({ code: "POLICY_LOCKED" });
  });
});

describe("trust", () => {
  test("a repository file only tightens, until its bytes are trusted; an edit ends that", async () => {
    write(REPO, { level: "low", mode: "observe", packages: { registries: ["https://x.example/"] } });
    const before = await load();
    expect(before.values).toMatchObject({ level: "medium", mode: "enforce", "packages.registries": [] });
    expect(before.notices).toEqual([
      "ignored: cofferdam.yaml:2 loosens level; read the file, then: cofferdam policy trust",
      expect.stringContaining("cofferdam.yaml:3 loosens mode"),
      expect.stringContaining("loosens packages.registries"),
    ]);
    const trust = new TrustStore(join(base, "home/.config/cofferdam"));
    const text = readFileSync(join(base, REPO), "utf8");
    await trust.trust(join(base, REPO), parsePolicy(text, "x").sha256, "2026-01-01T00:00:00.000Z");
    expect((await load()).values).toMatchObject({ level: "low", mode: "observe" });
    write(REPO, `${text}# edited\n`);
    expect((await load()).values.level).toBe("medium");
  });

  test("an untrusted environment only tightens", async () => {
    const env = (level: string): NodeJS.ProcessEnv => ({ HOME: join(base, "home"), COFFERDAM_LEVEL: level });
    expect((await load({ env: env("low"), untrustedEnvironment: true })).values.level).toBe("medium");
    expect((await load({ env: env("high"), untrustedEnvironment: true })).values.level).toBe("high");
    expect((await load({ env: env("low") })).values.level).toBe("low");
  });
});

const allow = fc.record({ what: fc.constantFrom("missing-hash a@1.0.0", "missing-hash b@*"), reason: fc.constant("because") });
const SHA = `sha512-${"A".repeat(86)}==`;
const grant = fc.record(
  {
    net: fc.uniqueArray(fc.constantFrom("a.example:443", "b.example:443"), { maxLength: 2 }),
    write: fc.uniqueArray(fc.constantFrom("build", "node_modules/.prisma"), { maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const durations = fc.constantFrom("1ms", "10ms", "50ms", "100ms", "1s", "30m");
const limits = fc.record(
  { cpu: fc.constantFrom(0.5, 1, "2.0"), memory: fc.constantFrom("512MB", "512MiB", "1GB", "4GiB"), pids: fc.constantFrom(100, 1000) },
  { requiredKeys: [] },
);
const policies: fc.Arbitrary<PolicyFile> = fc.record(
  {
    version: fc.constant(1 as const),
    level: fc.constantFrom(...LEVELS),
    mode: fc.constantFrom("enforce" as const, "observe" as const),
    packages: fc.record(
      {
        registries: fc.uniqueArray(fc.constantFrom("https://a.example/", "https://b.example/"), { maxLength: 2 }),
        allow: fc.uniqueArray(allow, { maxLength: 2, selector: (one) => one.what }),
      },
      { requiredKeys: [] },
    ),
    scripts: fc.record(
      {
        approved: fc.uniqueArray(fc.constantFrom(`a@1.0.0#${SHA}`, `b@1.0.0#${SHA}`), { maxLength: 2 }),
        grants: fc.dictionary(fc.constantFrom("a", "a@1.0.0", "constructor"), grant, { maxKeys: 3 }),
        exceptions: fc.dictionary(fc.constantFrom("husky", "prisma"), fc.constantFrom("on" as const, "off" as const), { maxKeys: 2 }),
      },
      { requiredKeys: [] },
    ),
    limits: fc.record(
      {
        tarball: fc.constantFrom("1MB", "512MiB", "1GiB", "4GiB"),
        unpacked: fc.constantFrom("1MB", "4GiB", "5GiB"),
        entries: fc.constantFrom(10, 200_000, 300_000),
        timeout: durations,
        concurrency: fc.constantFrom(1, 24, 200),
      },
      { requiredKeys: [] },
    ),
    advisories: fc.record(
      {
        osv: fc.constantFrom("https://osv-vulnerabilities.storage.googleapis.com/", "https://mirror.example/"),
        kev: fc.constant("https://mirror.example/kev.json"),
        deny: fc.constantFrom("none", "critical", "high", "medium", "low"),
        "only-fixable": fc.boolean(),
        "only-new": fc.boolean(),
        exploited: fc.constantFrom("deny", "warn"),
        ratchet: durations,
        base: fc.constantFrom("auto", "main", "evil"),
        "warn-age": fc.constantFrom("1h", "24h", "30d", "never"),
        "deny-age": fc.constantFrom("1h", "7d", "30d", "never"),
      },
      { requiredKeys: [] },
    ),
    audit: fc.record(
      {
        checkpoint: fc.record({ events: fc.constantFrom(10, 1000, 5000), interval: durations }, { requiredKeys: [] }),
        copy: fc.oneof(fc.constantFrom("/mnt/a", "git@evil.example:x.git"), fc.constant(["/mnt/a"])),
        "copy-within": fc.constantFrom("1m", "24h", "30d", "never"),
        witnesses: fc.constant([{ url: "https://witness.example/", key: "w+00000000+AAAA" }]),
        retention: fc.record(
          {
            default: fc.constantFrom("1d", "365d", "900d"),
            categories: fc.dictionary(fc.constantFrom("packages", "constructor"), fc.constantFrom("1d", "900d"), { maxKeys: 2 }),
            standards: fc.dictionary(fc.constantFrom("SOC2", "HIPAA"), fc.constantFrom("1d", "900d"), { maxKeys: 2 }),
          },
          { requiredKeys: [] },
        ),
      },
      { requiredKeys: [] },
    ),
    quota: fc.record(
      {
        enforcement: fc.constantFrom("hard", "soft"),
        "host-share": fc.integer({ min: 1, max: 100 }),
        slots: fc.constantFrom<"auto" | number>("auto", 2, 50),
        overcommit: fc.constantFrom("none", "cpu", "all"),
        "overcommit-ratio": fc.integer({ min: 100, max: 1000 }),
        defaults: limits,
        ceiling: limits,
        tiers: fc.dictionary(fc.constantFrom("high", "mine"), limits, { maxKeys: 2 }),
        organisations: fc.dictionary(fc.constantFrom("acme", "evil"), fc.record({ limits, ceiling: limits }), { maxKeys: 2 }),
        repositories: fc.dictionary(fc.constantFrom("acme/web", "evil/web"), fc.record({ limits }), { maxKeys: 2 }),
      },
      { requiredKeys: [] },
    ),
    secrets: fc.record(
      {
        backend: fc.constantFrom("file", "vault"),
        key: fc.constantFrom("file", "passphrase", "command"),
        "passphrase-file": fc.constantFrom("/etc/a", "/tmp/b"),
        "key-command": fc.constantFrom(["kms"], ["./evil"]),
        grace: durations,
        "rotate-every": durations,
        "rotate-after-use": fc.boolean(),
        lease: fc.constantFrom("1m", "1h", "never"),
        "reads-per-job": fc.constantFrom<number | "any">(1, 2, "any"),
        providers: fc.dictionary(fc.constantFrom("npm", "aws"), fc.constantFrom({ command: ["new"] }, { vault: "aws/creds/x", field: "secret_key" }), {
          maxKeys: 2,
        }),
        vault: fc.dictionary(fc.constantFrom("address", "mount"), fc.constantFrom("https://vault.example", "https://evil.example"), { maxKeys: 2 }),
      },
      { requiredKeys: [] },
    ),
    identity: fc.record(
      {
        issuer: fc.constantFrom("https://github.example/_services/token", "https://evil.example"),
        audience: fc.constantFrom("us", "https://github.com/evil"),
        jobs: fc.dictionary(fc.constantFrom("1", "4711"), fc.constantFrom({ user: "chief" }, { events: ["push"] }), { maxKeys: 2 }),
      },
      { requiredKeys: [] },
    ),
    jobs: fc.record(
      {
        ...{ profile: fc.constantFrom("none", "build"), unscanned: fc.constantFrom("accept", "deny"), timeout: durations },
        network: fc.constantFrom(...JOB_NETWORKS),
        egress: fc.array(fc.constantFrom("a.example", "b.example:8080", "203.0.113.0/24"), { maxLength: 2 }),
        "on-refusal": fc.constantFrom("note", "fail"),
        "name-servers": fc.array(fc.constantFrom("192.0.2.53", "192.0.2.54:5353"), { maxLength: 2 }),
        secrets: fc.dictionary(fc.constantFrom("a/b", "A/b", "c/d"), fc.dictionary(fc.constantFrom("X", "Y"), fc.constantFrom("x", "y/z"))),
        "secret-variables": fc.constantFrom("accept", "deny"),
        monitor: fc.constantFrom("off", "watch", "require"),
        "monitor-rules": fc.subarray(["/etc/a.yaml", "/tmp/b.yaml"]),
        suspicious: fc.subarray(["nc", "xmrig"]),
      },
      { requiredKeys: [] },
    ),
    thresholds: fc.record({ integrity: durations, audit: durations, protection: durations }, { requiredKeys: [] }),
  },
  { requiredKeys: ["version"] },
);

test("property: an untrusted repository never loosens anything", async () => {
  // The oracle is written from the words of the design, not from the comparators.
  const order = ["low", "medium", "high", "paranoid"];
  const notMore = (after: number, before: number): void => expect(after).toBeLessThanOrEqual(before);
  const severities = ["none", "critical", "high", "medium", "low"];
  const ms = (age: number | "never"): number => (age === "never" ? Number.POSITIVE_INFINITY : age);
  const notOlder = (after: number | "never", before: number | "never"): void => expect(ms(after)).toBeLessThanOrEqual(ms(before));
  // A new entry could be shorter than the default that held for it until then.
  const notShorter = (after: Readonly<Record<string, number>>, before: Readonly<Record<string, number>>): void => {
    expect(Object.keys(after).sort()).toEqual(Object.keys(before).sort());
    for (const [name, time] of Object.entries(after)) expect(time).toBeGreaterThanOrEqual(before[name] ?? Number.POSITIVE_INFINITY);
  };
  // From the least to the most, as people write them.
  const sizes = [0.5, 1, "2.0", 100, 1000, "512MB", "512MiB", "1GB", "4GiB"].map(String);
  const noLimitRaised = (after: Readonly<Record<string, string | number>>, before: Readonly<Record<string, string | number>>): void => {
    expect(Object.keys(after).sort()).toEqual(Object.keys(before).sort());
    for (const [limit, value] of Object.entries(after)) expect(sizes.indexOf(String(value))).toBeLessThanOrEqual(sizes.indexOf(String(before[limit])));
  };
  const oracle: { readonly [K in keyof PolicyValues]: (after: PolicyValues[K], before: PolicyValues[K]) => void } = {
    level: (after, before) => expect(order.indexOf(after)).toBeGreaterThanOrEqual(order.indexOf(before)),
    mode: (after, before) => expect([before, after]).not.toEqual(["enforce", "observe"]),
    "packages.registries": (after, before) => expect(after).toEqual(before),
    "packages.allow": (after, before) => expect(after).toEqual(before),
    "packages.keep": () => undefined,
    "scripts.approved": (after, before) => expect(after).toEqual(before),
    "scripts.grants": (after, before) => {
      for (const [name, { net = [], write = [] }] of Object.entries(after)) {
        const had = Object.hasOwn(before, name) ? before[name] : undefined;
        expect(had?.net ?? []).toEqual(expect.arrayContaining([...net]));
        expect(had?.write ?? []).toEqual(expect.arrayContaining([...write]));
      }
    },
    "scripts.exceptions": (after, before) => {
      for (const name of SCRIPT_EXCEPTIONS) expect([before[name], after[name]]).not.toEqual(["off", "on"]);
    },
    "scripts.timeout": notMore,
    "scripts.memory": notMore,
    "scripts.disk": notMore,
    "advisories.osv": (after, before) => expect(after).toBe(before),
    "advisories.kev": (after, before) => expect(after).toBe(before),
    "advisories.deny": (after, before) => expect(severities.indexOf(after)).toBeGreaterThanOrEqual(severities.indexOf(before)),
    "advisories.only-fixable": (after, before) => expect([before, after]).not.toEqual([false, true]),
    "advisories.only-new": (after, before) => expect([before, after]).not.toEqual([false, true]),
    "advisories.exploited": (after, before) => expect([before, after]).not.toEqual(["deny", "warn"]),
    "advisories.ratchet": notMore,
    "advisories.base": (after, before) => expect(after).toBe(before),
    "advisories.warn-age": notOlder,
    "advisories.deny-age": notOlder,
    "audit.checkpoint.events": notMore,
    "audit.checkpoint.interval": notMore,
    "audit.copy": (after, before) => expect(after).toEqual(before),
    "audit.copy-within": notOlder,
    "audit.witnesses": (after, before) => expect(after).toEqual(before),
    "audit.retention.default": (after, before) => expect(after).toBeGreaterThanOrEqual(before),
    "audit.retention.categories": notShorter,
    "audit.retention.standards": notShorter,
    "jobs.authorization": (after, before) => expect([before, after]).not.toEqual(["roles", "owner"]),
    "jobs.profile": (after, before) => expect([before, after]).not.toEqual(["none", "build"]),
    "jobs.unscanned": (after, before) => expect([before, after]).not.toEqual(["deny", "accept"]),
    "jobs.network": (after, before) => expect(JOB_NETWORKS.indexOf(after)).toBeLessThanOrEqual(JOB_NETWORKS.indexOf(before)),
    "jobs.egress": (after, before) => expect(after).toEqual(before),
    "jobs.on-refusal": (after, before) => expect([before, after]).not.toEqual(["fail", "note"]),
    "jobs.name-servers": (after, before) => expect(after).toEqual(before),
    "jobs.timeout": notMore,
    "jobs.log": () => undefined,
    "jobs.secrets": (after, before) => expect(after).toEqual(before),
    "jobs.secret-variables": (after, before) => expect([before, after]).not.toEqual(["deny", "accept"]),
    "jobs.monitor": (after, before) => {
      const [is, was] = [after, before].map((monitor) => ["off", "watch", "require"].indexOf(monitor));
      expect(is).toBeGreaterThanOrEqual(was ?? 0);
    },
    "jobs.monitor-rules": (after, before) => expect(after).toEqual(before),
    "jobs.suspicious": (after, before) => expect(after).toEqual(expect.arrayContaining([...before])),
    "jobs.evidence-keep": (after, before) => expect(after).toBeGreaterThanOrEqual(before),
    "jobs.evidence-size": (after, before) => expect(after).toBe(before),
    "quota.enforcement": (after, before) => expect([before, after]).not.toEqual(["hard", "soft"]),
    "quota.host-share": notMore,
    "quota.slots": (after, before) => expect(after).toBe(before),
    "quota.overcommit": (after, before) =>
      expect([
        ["none", "cpu"],
        ["none", "all"],
        ["cpu", "all"],
      ]).not.toContainEqual([before, after]),
    "quota.overcommit-ratio": notMore,
    "quota.defaults": noLimitRaised,
    "quota.ceiling": noLimitRaised,
    "quota.tiers": (after, before) => expect(after).toEqual(before),
    "quota.organisations": (after, before) => expect(after).toEqual(before),
    "quota.repositories": (after, before) => expect(after).toEqual(before),
    "secrets.backend": (after, before) => expect(after).toBe(before),
    "secrets.key": (after, before) => expect(after).toBe(before),
    "secrets.passphrase-file": (after, before) => expect(after).toBe(before),
    "secrets.key-command": (after, before) => expect(after).toEqual(before),
    "secrets.grace": notMore,
    "secrets.rotate-every": notMore,
    "secrets.rotate-after-use": (after, before) => expect([before, after]).not.toEqual([true, false]),
    "secrets.lease": notOlder,
    "secrets.reads-per-job": (after, before) => {
      const [is = 0, was = 0] = [after, before].map((times) => (times === "any" ? Number.POSITIVE_INFINITY : times));
      notMore(is, was);
    },
    "secrets.providers": (after, before) => expect(after).toEqual(before),
    "secrets.vault": (after, before) => expect(after).toEqual(before),
    "identity.issuer": (after, before) => expect(after).toBe(before),
    "identity.audience": (after, before) => expect(after).toBe(before),
    "identity.jobs": (after, before) => expect(after).toEqual(before),
    "limits.tarball": notMore,
    "limits.unpacked": notMore,
    "limits.entries": notMore,
    "limits.timeout": notMore,
    "limits.concurrency": notMore,
    "thresholds.integrity": notMore,
    "thresholds.scan": notMore,
    "thresholds.audit": notMore,
    "thresholds.protection": notMore,
    "thresholds.script": notMore,
    locks: (after, before) => expect(after).toEqual(before),
  };
  expect(Object.keys(oracle).sort()).toEqual(KEYS.map((rule) => rule.key).sort());
  const check = <K extends keyof PolicyValues>(key: K, after: PolicyValues, before: PolicyValues): void => oracle[key](after[key], before[key]);
  await fc.assert(
    fc.asyncProperty(policies, policies, async (user, repository) => {
      write(USER, stringify(user));
      rmSync(join(base, REPO), { force: true });
      const before = (await load()).values;
      write(REPO, stringify(repository));
      const { values, notices } = await load();
      for (const key of POLICY_KEYS) check(key, values, before);
      // What was not applied is said, and what tightens is applied.
      if (repository.mode === "observe" && before.mode === "enforce") expect(notices).toContainEqual(expect.stringContaining("loosens mode"));
      if (repository.scripts?.exceptions?.husky === "off") expect(values["scripts.exceptions"].husky).toBe("off");
      if (repository.limits?.entries !== undefined) expect(values["limits.entries"]).toBe(Math.min(repository.limits.entries, before["limits.entries"]));
    }),
    { numRuns: 200 },
  );
});

test("every value has a rule for what loosens it", () => {
  expect(KEYS.map((rule) => rule.key).sort()).toEqual(Object.keys(presetOf("medium")).sort());
});

test("exceptions: exact, any version, until their last day", async () => {
  write(USER, {
    packages: {
      allow: [
        { what: "missing-hash a@1.0.0", reason: "one" },
        { what: "weak-hash @s/b@*", reason: "two" },
        { what: "foreign-host c@1.0.0", reason: "three", until: "2026-03-31" },
      ],
    },
  });
  const on = (day: string): Promise<EffectivePolicy> => load({ clock: { now: () => Date.parse(day), monotonic: () => 0 } satisfies Clock });
  const policy = await on("2026-03-31T23:59:59Z");
  expect(policy.allowance("missing-hash a@1.0.0")?.reason).toBe("one");
  expect(policy.allowance("missing-hash a@1.0.1")).toBeUndefined();
  expect(policy.allowance("weak-hash @s/b@9.9.9")?.reason).toBe("two");
  expect(policy.allowance("weak-hash @s/bb@9.9.9")).toBeUndefined();
  expect(policy.allowance("missing-hash @s/b@9.9.9")).toBeUndefined();
  expect(policy.allowance("foreign-host c@1.0.0")?.reason).toBe("three");
  const later = await on("2026-04-01T00:00:00Z");
  expect(later.allowance("foreign-host c@1.0.0")).toBeUndefined();
  expect(later.notices).toEqual(["expired: the exception for foreign-host c@1.0.0 ended on 2026-03-31"]);
});

test("the digest names the values and nothing else", async () => {
  const plain = await load();
  write(USER, "version: 1 # a comment\n");
  expect((await load()).digest).toBe(plain.digest);
  write(USER, { level: "high" });
  expect((await load()).digest).not.toBe(plain.digest);
});

test("policy allow keeps comments, and refuses what would not be valid", async () => {
  const path = join(base, REPO);
  write(REPO, "# ours\nversion: 1\nlevel: high # strict\n");
  await addAllowance(path, { what: "missing-hash a@1.0.0", reason: "vendored", until: undefined });
  const text = readFileSync(path, "utf8");
  expect(text).toContain("# ours");
  expect(text).toContain("level: high # strict");
  expect(parse(text)).toMatchObject({ packages: { allow: [{ what: "missing-hash a@1.0.0", reason: "vendored" }] } });
  await expect(addAllowance(path, { what: "x", reason: "short" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  expect(readFileSync(path, "utf8")).toBe(text);
});

describe("what a level presets", () => {
  const advisories = (values: PolicyValues): unknown => [values["advisories.deny"], values["advisories.only-new"], values["advisories.deny-age"]];

  test("a later level presets what nobody set, and leaves what somebody set", async () => {
    expect(advisories((await load({ flags: { level: "paranoid" } })).values)).toEqual(["medium", false, 6 * 3_600_000]);
    write(USER, { advisories: { deny: "low" } });
    expect(advisories((await load({ flags: { level: "low" } })).values)).toEqual(["low", true, "never"]);
  });

  test("a locked key stays what it was at the level where it was locked", async () => {
    write(ETC, { level: "high", locks: ["advisories.deny"] });
    expect(advisories((await load({ flags: { level: "low" } })).values)).toEqual(["high", true, "never"]);
  });

  test("an untrusted repository that raises the level brings the level's own values", async () => {
    write(REPO, { level: "high", advisories: { deny: "critical" } });
    const { values, notices } = await load();
    expect(advisories(values)).toEqual(["high", false, 86_400_000]);
    expect(notices).toContainEqual(expect.stringContaining("loosens advisories.deny"));
  });
});
