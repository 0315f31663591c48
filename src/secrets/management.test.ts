import { once } from "node:events";
import { rmSync } from "node:fs";
import { inspect } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { SetClock, secretFolder } from "../../test/world/secret-store.ts";
import type { JsonObject } from "../foundation/index.ts";
import { memoryBackend } from "./backends/sealed-backend.ts";
import type { AccessRequest, KnownJob, SecretRequester, StorePosition } from "./contract.ts";
import { SecretManagementSystem } from "./management.ts";
import { positionIn } from "./position.ts";
import { commandProvider, type RotationProvider } from "./rotation.ts";
import type { SecretOptions } from "./settings.ts";

const HOUR = 3_600_000;
const DAY: number = 24 * HOUR;
const ASK: SecretRequester = { userId: "alice", jobId: "job1" };
const JOB: KnownJob = { jobId: "job1", active: true, repository: "acme/web", ref: "refs/heads/main" };
const VALUE = "npm_SECRETVALUE";

type Logged = { readonly action: string; readonly result: string; readonly resourceId?: string | undefined; readonly details?: JsonObject | undefined };

interface World {
  readonly secrets: SecretManagementSystem;
  readonly clock: SetClock;
  readonly jobs: KnownJob[];
  readonly log: Logged[];
}

async function within(options: SecretOptions, work: (world: World) => Promise<void>): Promise<void> {
  const clock = new SetClock();
  const [jobs, log]: [KnownJob[], Logged[]] = [[JOB, { ...JOB, jobId: "job2" }, { ...JOB, jobId: "ended", active: false }], []];
  await using secrets = new SecretManagementSystem({
    ...{ backend: "memory", clock, jobs: { find: async (id) => jobs.find(({ jobId }) => jobId === id) } },
    audit: { log: async (event) => void log.push(event) },
    ...options,
  });
  await secrets.initialize();
  await work({ secrets, clock, jobs, log });
  // Whatever was done: no value is on record, in any form that would be read by eye.
  for (const form of [VALUE, Buffer.from(VALUE).toString("base64"), Buffer.from(VALUE).toString("hex")]) expect(JSON.stringify(log)).not.toContain(form);
}

const text = async (secrets: SecretManagementSystem, id: string, ask: SecretRequester = ASK): Promise<string> => (await secrets.retrieveSecret(id, ask)).text();

describe("a secret", () => {
  test("is stored, given to a job, and on record both times", async () => {
    await within({}, async ({ secrets, log }) => {
      const info = await secrets.storeSecret("npm/publish", VALUE, { owner: "bob", expiresAt: new Date("2030-01-01") }, { userId: "carol" });
      expect(info).toMatchObject({ secretId: "npm/publish", owner: "bob", currentVersion: 1, expiresAt: Date.UTC(2030, 0, 1) });
      const secret = await secrets.retrieveSecret("npm/publish", ASK);
      expect([secret.text(), secret.version, secret.validUntil]).toEqual([VALUE, 1, Date.UTC(2030, 0, 1)]);
      expect(log.map(({ action, resourceId, result }) => [action, resourceId, result])).toEqual([
        ["SecretStored", "npm/publish", "success"],
        ["SecretRetrieved", "npm/publish", "success"],
      ]);
      expect(log[1]?.details).toMatchObject({ jobId: "job1", repository: "acme/web", version: 1 });
    });
  });

  test("shows no value when it is printed or turned into JSON", async () => {
    await within({}, async ({ secrets }) => {
      await secrets.storeSecret("a", VALUE);
      const secret = await secrets.retrieveSecret("a", ASK);
      for (const shown of [inspect(secret, { depth: 9, showHidden: true }), JSON.stringify(secret), String(secret)]) {
        expect(shown).not.toContain(VALUE);
        expect(shown).not.toContain(Buffer.from(VALUE).toString("hex").slice(0, 12));
      }
    });
  });

  test("of bytes that are no text", async () => {
    await within({}, async ({ secrets }) => {
      await secrets.storeSecret("a", Buffer.from([0xff, 0, 0xfe]));
      const secret = await secrets.retrieveSecret("a", ASK);
      expect([...secret.value]).toEqual([0xff, 0, 0xfe]);
      expect(() => secret.text()).toThrow(expect.objectContaining({ code: "FAILED_PRECONDITION" }));
    });
  });

  test("of 64 KiB is taken, of one byte more is not, and of none is not", async () => {
    await within({}, async ({ secrets }) => {
      await secrets.storeSecret("a", "x".repeat(65_536));
      await expect(secrets.storeSecret("b", "x".repeat(65_537))).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
      await expect(secrets.storeSecret("b", "")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
      await expect(secrets.storeSecret("b", "\ud800")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
      expect(await secrets.listSecrets()).toEqual(["a"]);
    });
  });

  test("put again: the values before are destroyed", async () => {
    await within({}, async ({ secrets }) => {
      await secrets.storeSecret("a", "one");
      expect((await secrets.storeSecret("a", "two")).versions.map(({ state }) => state)).toEqual(["destroyed", "current"]);
      await expect(secrets.retrieveSecret("a", { ...ASK, version: 1 })).rejects.toMatchObject({ code: "SECRET_EXPIRED" });
    });
  });

  test("not put in place of another one, where that was said", async () => {
    await within({}, async ({ secrets }) => {
      const keep = async (id: string): Promise<unknown> => await secrets.storeSecret(id, "two", {}, undefined, { replace: false });
      await secrets.storeSecret("a", "one");
      await expect(keep("a")).rejects.toMatchObject({ code: "CONFLICT" });
      expect(await text(secrets, "a")).toBe("one");
      await secrets.deleteSecret("a");
      await keep("a");
    });
  });

  test("deleted: not there any more, once, and its name can be used again", async () => {
    await within({}, async ({ secrets, log }) => {
      await secrets.storeSecret("a", VALUE);
      expect([await secrets.deleteSecret("a"), await secrets.deleteSecret("a"), await secrets.deleteSecret("b")]).toEqual([true, false, false]);
      await expect(secrets.retrieveSecret("a", ASK)).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(secrets.describeSecret("a")).rejects.toMatchObject({ code: "NOT_FOUND" });
      expect(log.filter(({ action }) => action === "SecretDeleted")).toHaveLength(1);
      expect((await secrets.storeSecret("a", VALUE)).currentVersion).toBe(2);
    });
  });
});

describe("names", () => {
  const hostile = [
    "../etc/passwd",
    "a/../b",
    "a\u0000",
    "a b",
    "A",
    "é",
    "a//b",
    "/a",
    "a/",
    ".a",
    "",
    "a".repeat(256),
    "x".repeat(10_240),
    "a\n",
    "\ud800",
    "a..b",
    "__proto__",
  ];

  test.each(hostile)("%j is refused, everywhere, and on record", async (id) => {
    await within({}, async ({ secrets, log }) => {
      for (const refused of [
        secrets.storeSecret(id, VALUE),
        secrets.retrieveSecret(id, ASK),
        secrets.rotateSecret(id, VALUE),
        secrets.deleteSecret(id),
        secrets.describeSecret(id),
        secrets.revealSecret(id, { userId: "a" }),
        secrets.injectSecrets("c", "job1", [{ name: "A", secretId: id }]),
        ...(id === "" ? [] : [secrets.listSecrets({ after: id })]),
      ])
        await expect(refused).rejects.toMatchObject({ code: expect.stringMatching(/^(INVALID_ARGUMENT|FAILED_PRECONDITION)$/) });
      expect(log.every(({ action, result }) => action === "SecretRefused" && result === "failure")).toBe(true);
    });
  });

  test.each(["a", "github-token", "npm/publish", "a.b_c-d/0", `${"a".repeat(127)}/${"b".repeat(127)}`])("%s is one", async (id) => {
    await within({}, async ({ secrets }) => {
      await secrets.storeSecret(id, VALUE);
      expect(await secrets.listSecrets()).toEqual([id]);
    });
  });

  test("page by page", async () => {
    await within({}, async ({ secrets }) => {
      for (const id of ["c", "a", "b"]) await secrets.storeSecret(id, VALUE);
      expect(await secrets.listSecrets({ limit: 2 })).toEqual(["a", "b"]);
      expect(await secrets.listSecrets({ after: "b" })).toEqual(["c"]);
      await expect(secrets.listSecrets({ limit: 0 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    });
  });
});

describe("who gets one", () => {
  test("a job that runs and is on the list; every other one is refused, on record", async () => {
    await within({}, async ({ secrets, jobs, log }) => {
      await secrets.storeSecret("a", VALUE, { allow: { repositories: ["acme/*"], refs: ["refs/heads/main"] } });
      jobs.push({ ...JOB, jobId: "fork", repository: "evil/web" }, { ...JOB, jobId: "branch", ref: "refs/pull/1/merge" });
      expect(await text(secrets, "a")).toBe(VALUE);
      for (const jobId of ["fork", "branch", "ended", "nobody-knows", "JOB1"])
        await expect(secrets.retrieveSecret("a", { userId: "alice", jobId })).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
      expect(log.filter(({ action }) => action === "SecretRefused").map(({ details }) => details?.["code"])).toEqual(Array(5).fill("PERMISSION_DENIED"));
    });
  });

  test("nobody, when nobody says which jobs there are", async () => {
    await within({ jobs: undefined }, async ({ secrets }) => {
      await secrets.storeSecret("a", VALUE);
      await expect(secrets.retrieveSecret("a", ASK)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    });
  });

  test("only who has the permission; the authorizer is asked before anything is looked up", async () => {
    const asked: AccessRequest[] = [];
    const allowed = new Set(["secrets:write"]);
    const authorizer = {
      async authorize(request: AccessRequest) {
        asked.push(request);
        return { allowed: allowed.has(request.permission), rule: "role:writer" };
      },
    };
    await within({ authorizer }, async ({ secrets, log }) => {
      await secrets.storeSecret("a", VALUE, {}, { userId: "alice", sessionId: "s1" });
      expect(asked).toEqual([{ userId: "alice", sessionId: "s1", permission: "secrets:write", secretId: "a", repository: undefined }]);
      expect(log[0]?.details).toMatchObject({ rule: "role:writer" });
      for (const refused of [
        secrets.retrieveSecret("a", ASK),
        secrets.retrieveSecret("no-such-secret", ASK),
        secrets.revealSecret("a", { userId: "alice" }),
        secrets.rotateSecret("a", VALUE),
        secrets.deleteSecret("a"),
        secrets.listSecrets(),
        secrets.describeSecret("a"),
      ])
        await expect(refused).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
      expect(asked.find(({ permission }) => permission === "secrets:read")).toMatchObject({ secretId: "a", repository: "acme/web" });
      allowed.clear();
      await expect(secrets.storeSecret("a", VALUE)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
      await expect(secrets.rewrap()).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    });
  });

  test("nobody, when the read cannot be put on record", async () => {
    let works = true;
    const audit = {
      async log() {
        if (!works) throw new Error("no space");
      },
    };
    await within({ audit }, async ({ secrets }) => {
      await secrets.storeSecret("a", VALUE);
      works = false;
      const told = vi.fn();
      secrets.events.on("secretRetrieved", told);
      await expect(secrets.retrieveSecret("a", ASK)).rejects.toThrow("no space");
      await expect(secrets.revealSecret("a", { userId: "x" })).rejects.toThrow("no space");
      expect(told).not.toHaveBeenCalled();
    });
  });

  test("until it expires, whatever the clock says afterwards", async () => {
    await within({}, async ({ secrets, clock }) => {
      await secrets.storeSecret("a", VALUE, { expiresAt: clock.time + HOUR });
      clock.time += HOUR - 1;
      expect(await text(secrets, "a")).toBe(VALUE);
      clock.time += 1;
      await expect(text(secrets, "a")).rejects.toMatchObject({ code: "SECRET_EXPIRED" });
      clock.time -= HOUR;
      await expect(text(secrets, "a")).rejects.toMatchObject({ code: "SECRET_EXPIRED" });
      await expect(secrets.revealSecret("a", { userId: "x" })).rejects.toMatchObject({ code: "SECRET_EXPIRED" });
    });
  });

  test("as many times as was said, and as often as a job may", async () => {
    await within({ readsPerJob: 1, lease: "10m" }, async ({ secrets, clock }) => {
      await secrets.storeSecret("a", VALUE, { maxReads: 2 });
      expect((await secrets.retrieveSecret("a", ASK)).validUntil).toBe(clock.time + 600_000);
      await expect(text(secrets, "a")).rejects.toMatchObject({ code: "SECRET_EXPIRED", message: expect.stringContaining("job1") });
      const both = await Promise.allSettled(["job2", "job2"].map(async (jobId) => await text(secrets, "a", { ...ASK, jobId })));
      expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    });
  });

  test("of a canary: somebody is told", async () => {
    await within({}, async ({ secrets, log }) => {
      await secrets.storeSecret("a", VALUE, { canary: true });
      const told = vi.fn();
      secrets.events.on("canaryRead", told);
      expect((await secrets.retrieveSecret("a", ASK)).canary).toBe(true);
      expect(told).toHaveBeenCalledWith({ secretId: "a", version: 1, userId: "alice", jobId: "job1" });
      expect(log.at(-1)).toMatchObject({ action: "SecretCanaryRead" });
    });
  });
});

describe("rotation", () => {
  test("the old value is good for the grace, and not a moment longer", async () => {
    await within({ rotation: { grace: "1h" } }, async ({ secrets, clock }) => {
      await secrets.storeSecret("a", "one");
      expect(await secrets.rotateSecret("a", "two")).toBe(2);
      expect(await text(secrets, "a")).toBe("two");
      const old = await secrets.retrieveSecret("a", { ...ASK, version: 1 });
      expect([old.text(), old.validUntil]).toEqual(["one", clock.time + HOUR]);
      clock.time += HOUR;
      await expect(text(secrets, "a", { ...ASK, version: 1 })).rejects.toMatchObject({ code: "SECRET_EXPIRED" });
      await expect(text(secrets, "a", { ...ASK, version: 3 })).rejects.toMatchObject({ code: "NOT_FOUND" });
      await secrets.rotateDue();
      expect((await secrets.describeSecret("a")).versions[0]).toMatchObject({ version: 1, state: "destroyed" });
    });
  });

  test("of those who rotate at once one wins; the provider is asked once, and keeps its claim while it works", async () => {
    const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const versions: number[] = [];
    const provider: RotationProvider = {
      async rotate({ version, current, secretId }) {
        versions.push(version);
        expect(secretId).toBe("a");
        const next = Buffer.concat([current, Buffer.from(`+${version}`)]);
        asked.resolve();
        await answer.promise;
        return next;
      },
    };
    await within({ rotation: { providers: { mine: provider } } }, async ({ secrets }) => {
      await secrets.storeSecret("a", "one", { autoRotate: { provider: "mine", every: "30d" } });
      const rotating = secrets.rotateSecret("a");
      await asked.promise;
      for (const loser of [secrets.rotateSecret("a"), secrets.rotateSecret("a", "given"), secrets.storeSecret("a", "put")])
        await expect(loser).rejects.toMatchObject({ code: "CONFLICT" });
      answer.resolve();
      expect([await rotating, versions]).toEqual([2, [2]]);
      expect(await text(secrets, "a")).toBe("one+2");
      expect(await secrets.rotateSecret("a")).toBe(3);
      const given = await Promise.allSettled(["x", "y", "z"].map(async (value) => await secrets.rotateSecret("a", value)));
      expect(given.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected", "rejected"]);
    });
  });

  test("a provider that fails, answers nothing, too much, or never: typed, the old value stays, and the next try works", async () => {
    const answers: (() => Promise<Uint8Array>)[] = [
      async () => await Promise.reject(new Error("registry says no")),
      async () => Buffer.alloc(0),
      async () => Buffer.alloc(65_537, 1),
      async () => await new Promise(() => undefined),
      async () => Buffer.from("two"),
    ];
    const provider: RotationProvider = { rotate: async () => await (answers.shift() ?? (async () => Buffer.from("more")))() };
    await within({ rotation: { providers: { mine: provider }, timeout: 100 } }, async ({ secrets }) => {
      await secrets.storeSecret("a", "one", { autoRotate: { provider: "mine" } });
      for (const code of ["UPSTREAM_UNAVAILABLE", "UPSTREAM_UNAVAILABLE", "PAYLOAD_TOO_LARGE", "DEADLINE_EXCEEDED"]) {
        await expect(secrets.rotateSecret("a")).rejects.toMatchObject({ code });
        expect(await text(secrets, "a")).toBe("one");
      }
      expect(await secrets.rotateSecret("a")).toBe(2);
      expect(await text(secrets, "a")).toBe("two");
    });
  });

  test("by a program: it is told by its standard input, and answers by its standard output", async () => {
    const script =
      "let t='';process.stdin.on('data',c=>t+=c).on('end',()=>{const q=JSON.parse(t);console.log(Buffer.from(q.current,'base64')+'/'+q.secretId+'/'+q.version)})";
    await within({ rotation: { providers: { mine: commandProvider([process.execPath, "-e", script]) } } }, async ({ secrets }) => {
      await secrets.storeSecret("a", "one", { autoRotate: { provider: "mine" } });
      await secrets.rotateSecret("a");
      expect(await text(secrets, "a")).toBe("one/a/2");
    });
  });

  test("without a value and a provider there is none; a provider that is not configured is named", async () => {
    await within({}, async ({ secrets }) => {
      await secrets.storeSecret("a", "one", { autoRotate: true });
      await secrets.storeSecret("b", "one", { autoRotate: { provider: "aws" } });
      await expect(secrets.rotateSecret("a")).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
      await expect(secrets.rotateSecret("b")).rejects.toMatchObject({ code: "FAILED_PRECONDITION", hint: expect.stringContaining("aws") });
      await expect(secrets.rotateSecret("c", "x")).rejects.toMatchObject({ code: "NOT_FOUND" });
    });
  });

  test("what is due is rotated where it can be, and told where it cannot; one failure stops nobody", async () => {
    const provider: RotationProvider = { rotate: async ({ version }) => Buffer.from(`value ${version}`) };
    await within({ rotation: { providers: { mine: provider }, every: "7d" } }, async ({ secrets, clock }) => {
      await secrets.storeSecret("broken", "one", { autoRotate: { provider: "gone", every: "1d" } });
      await secrets.storeSecret("by-hand", "one", { autoRotate: true });
      await secrets.storeSecret("mine", "one", { autoRotate: { provider: "mine", every: "1d" } });
      await secrets.storeSecret("never", "one");
      const told = vi.fn();
      secrets.events.on("rotationDue", told);
      expect(await secrets.rotateDue()).toEqual({ rotated: [], waiting: [], failed: [] });
      clock.time += DAY;
      expect(await secrets.rotateDue()).toMatchObject({ rotated: [{ secretId: "mine", version: 2 }], waiting: [], failed: [{ secretId: "broken" }] });
      expect(told).not.toHaveBeenCalled();
      clock.time += 6 * DAY;
      expect(await secrets.rotateDue()).toMatchObject({ rotated: [{ secretId: "mine", version: 3 }], waiting: ["by-hand"] });
      expect(told).toHaveBeenCalledWith({ secretId: "by-hand", version: 1, because: "time" });
    });
  });

  test("by itself, where an interval is set; nobody has to be allowed to", async () => {
    const clock = new SetClock();
    const authorizer = { authorize: async ({ permission }: AccessRequest) => ({ allowed: permission === "secrets:write", rule: "x" }) };
    const provider: RotationProvider = { rotate: async () => Buffer.from("two") };
    await using secrets = new SecretManagementSystem({ backend: "memory", clock, authorizer, rotation: { interval: 10, providers: { mine: provider } } });
    await secrets.initialize();
    const told = [once(secrets.events, "rotationDue"), once(secrets.events, "secretRotated")];
    await secrets.storeSecret("a", "one", { autoRotate: { every: "1m" } });
    await secrets.storeSecret("b", "one", { autoRotate: { every: "1m", provider: "mine" } });
    clock.time += 60_000;
    expect(await Promise.all(told)).toEqual([[{ secretId: "a", version: 1, because: "time" }], [{ secretId: "b", version: 2, userId: "cofferdam" }]]);
    await expect(secrets.rotateDue()).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  });

  test("after use, where the level asks for it: as soon as the job's lease has ended", async () => {
    const provider: RotationProvider = { rotate: async ({ version }) => Buffer.from(`value ${version}`) };
    await within({ rotation: { providers: { mine: provider }, afterUse: true }, lease: "10m" }, async ({ secrets, clock }) => {
      await secrets.storeSecret("a", "one", { autoRotate: { provider: "mine" } });
      clock.time += 1000;
      await secrets.retrieveSecret("a", ASK);
      clock.time += 599_999;
      expect((await secrets.rotateDue()).rotated).toEqual([]);
      clock.time += 1;
      expect((await secrets.rotateDue()).rotated).toEqual([{ secretId: "a", version: 2 }]);
      expect((await secrets.rotateDue()).rotated).toEqual([]);
    });
  });
});

describe("injection", () => {
  test("all or none, asked for as any read, and wiped after", async () => {
    const seen: (readonly [string, string, string])[] = [];
    const values: Uint8Array[] = [];
    const injector: SecretOptions["injector"] = {
      async inject(containerId, jobId, secrets) {
        expect([containerId, jobId]).toEqual(["c1", "job1"]);
        for (const { name, secretId, secret } of secrets) {
          seen.push([name, secretId, secret.text()]);
          values.push(secret.value);
        }
      },
    };
    await within({ injector }, async ({ secrets, log }) => {
      await secrets.storeSecret("a", VALUE);
      await secrets.storeSecret("b", "other", { allow: { repositories: ["x/y"] } });
      await expect(
        secrets.injectSecrets("c1", "job1", [
          { name: "A", secretId: "a" },
          { name: "B", secretId: "b" },
        ]),
      ).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
      expect(seen).toEqual([]);
      await secrets.injectSecrets(
        "c1",
        "job1",
        [
          { name: "A", secretId: "a" },
          { name: "A2", secretId: "a" },
        ],
        { userId: "alice" },
      );
      expect(seen).toEqual([
        ["A", "a", VALUE],
        ["A2", "a", VALUE],
      ]);
      expect(values.every((value) => value.every((byte) => byte === 0))).toBe(true);
      expect(log.filter(({ action }) => action === "SecretRetrieved")).toHaveLength(3);
      for (const bad of [
        [{ name: "A B", secretId: "a" }],
        [
          { name: "A", secretId: "a" },
          { name: "A", secretId: "a" },
        ],
      ])
        await expect(secrets.injectSecrets("c1", "job1", bad)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    });
  });

  test("without an injector: said", async () => {
    await within({}, async ({ secrets }) => {
      await expect(secrets.injectSecrets("c", "job1", [])).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    });
  });
});

describe("the component", () => {
  test.each<[unknown, string]>([
    [{ backends: "file" }, "backend"],
    [{ backend: "disk" }, "backend"],
    [{ rotation: { grace: "tomorrow" } }, "rotation.grace"],
    [{ rotation: { providers: { "A B": {} } } }, "rotation.providers"],
    [{ encryption: { key: "hsm" } }, "encryption.key"],
    [{ readsPerJob: 0 }, "readsPerJob"],
  ])("refuses options %j", (options, where) => {
    expect(() => Reflect.construct(SecretManagementSystem, [options])).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringContaining(where) }),
    );
  });

  test.each<[unknown, string]>([
    [{ expires: 1 }, "expiresAt"],
    [{ expiresAt: "soon" }, "expiresAt"],
    [{ allow: { repositories: [] } }, "allow.repositories"],
    [{ allow: { repositories: ["no-slash"] } }, "allow.repositories"],
    [{ allow: { refs: ["main"] } }, "allow.refs"],
    [{ allow: { imageDigests: ["latest"] } }, "allow.imageDigests"],
    [{ maxReads: 0 }, "maxReads"],
    [{ autoRotate: { every: "1s" } }, "autoRotate"],
    [{ owner: "a\u0000b" }, "owner"],
    [null, "metadata"],
  ])("refuses metadata %j", async (metadata, where) => {
    await within({}, async ({ secrets }) => {
      await expect(Reflect.apply(secrets.storeSecret, secrets, ["a", VALUE, metadata])).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        message: expect.stringContaining(where),
      });
    });
  });

  test("does nothing before initialize() and after close(); initialize() again is nothing", async () => {
    const secrets = new SecretManagementSystem({ backend: "memory" });
    await expect(secrets.storeSecret("a", VALUE)).rejects.toMatchObject({ code: "NOT_INITIALIZED" });
    await Promise.all([secrets.initialize(), secrets.initialize()]);
    await secrets.initialize();
    await secrets.storeSecret("a", VALUE);
    await secrets.close();
    await expect(secrets.listSecrets()).rejects.toMatchObject({ code: "NOT_INITIALIZED" });
  });

  test("a listener's failure is its own", async () => {
    await within({}, async ({ secrets }) => {
      secrets.events.on("secretStored", () => {
        throw new Error("listener");
      });
      secrets.events.on("secretStored", async () => await Promise.reject(new Error("listener")));
      await secrets.storeSecret("a", VALUE);
    });
  });

  test("a backend of one's own, and one that is broken", async () => {
    const backend = memoryBackend(new SetClock());
    await within({ backend }, async ({ secrets }) => {
      await secrets.storeSecret("a", VALUE);
      backend.find = async () => await Promise.reject(new Error("disk"));
      await expect(secrets.retrieveSecret("a", ASK)).rejects.toMatchObject({ code: "INTERNAL" });
    });
  });

  test("a store that is behind the trail, or another one, is refused until somebody accepts it, with a reason", async () => {
    using folder = secretFolder();
    const log: Logged[] = [];
    const options: SecretOptions = { stateDir: folder.path, clock: folder.clock, audit: { log: async (event) => void log.push(event) } };
    {
      await using secrets = new SecretManagementSystem(options);
      await secrets.initialize();
      await secrets.storeSecret("a", VALUE);
    }
    const position = log[0]?.details?.["position"];
    expect(position).toMatchObject({ change: 1, storeId: expect.any(String) });
    const storeId = typeof position === "object" && position !== null && "storeId" in position ? String(position.storeId) : "";
    for (const recorded of [
      { storeId, change: 2 },
      { storeId: "sec_other", change: 1 },
    ]) {
      await using behind = new SecretManagementSystem({ ...options, lastPosition: async () => recorded });
      await expect(behind.initialize()).rejects.toMatchObject({ code: "INTEGRITY_FAILURE", hint: expect.stringContaining("recover") });
    }
    await using same = new SecretManagementSystem({ ...options, lastPosition: async () => ({ storeId, change: 1 }) });
    await same.initialize();
    await expect(same.recover(" ", { userId: "root" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(await same.recover("restored from a backup", { userId: "root" })).toBe(0);
    expect(log.at(-1)).toMatchObject({ action: "SecretStoreRecovered", details: { reason: "restored from a backup", lost: 0 } });
  });

  test("a change that another process records meanwhile is no rollback", async () => {
    using folder = secretFolder();
    const options: SecretOptions = { stateDir: folder.path, clock: folder.clock };
    const lastPosition = async (): Promise<StorePosition | undefined> => {
      const log: Logged[] = [];
      await using other = new SecretManagementSystem({ ...options, audit: { log: async (event) => void log.push(event) } });
      await other.initialize();
      await other.storeSecret("a", VALUE);
      return positionIn(log.at(-1)?.details);
    };
    await using secrets = new SecretManagementSystem({ ...options, lastPosition });
    await secrets.initialize();
    expect(await secrets.listSecrets()).toEqual(["a"]);
  });

  test("a new master key, on record", async () => {
    await within({}, async ({ secrets, log }) => {
      await secrets.storeSecret("a", VALUE);
      expect(await secrets.rewrap({ userId: "root" })).toMatchObject({ values: 1 });
      expect(log.at(-1)).toMatchObject({ action: "SecretKeyChanged", details: { values: 1 } });
      expect(await text(secrets, "a")).toBe(VALUE);
    });
  });

  test("the key: shown without itself, backed up, lost, restored, kept in another way, all on record", async () => {
    using folder = secretFolder();
    const log: Logged[] = [];
    const options: SecretOptions = { stateDir: folder.path, clock: folder.clock, audit: { log: async (event) => void log.push(event) } };
    const [passphrase, root] = [Buffer.from("correct horse battery"), { userId: "root" }];
    let backup = "";
    {
      await using secrets = new SecretManagementSystem(options);
      await expect(secrets.keys.backup(passphrase, root)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
      await secrets.initialize();
      await secrets.storeSecret("a", VALUE);
      backup = await secrets.keys.backup(passphrase, root);
      expect(secrets.keys.state()?.keys).toEqual([{ id: expect.stringMatching(/^mk_/), kind: "file" }]);
      await expect(secrets.keys.restore(backup, passphrase, root)).rejects.toMatchObject({ code: "CONFLICT" });
    }
    rmSync(folder.keyFile);
    {
      await using lost = new SecretManagementSystem(options);
      await expect(lost.initialize()).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
      await expect(lost.keys.restore(backup, Buffer.from("another passphrase"), root)).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
      await lost.keys.restore(backup, passphrase, root);
      await lost.initialize();
    }
    await using kept = new SecretManagementSystem({ ...options, encryption: { key: "passphrase", passphrase: async () => passphrase } });
    await kept.keys.protect(root);
    expect(kept.keys.state()?.keys).toMatchObject([{ kind: "passphrase" }]);
    await kept.initialize();
    expect(Buffer.from(await kept.revealSecret("a", root)).toString()).toBe(VALUE);
    expect(log.map(({ action }) => action).filter((action) => action.startsWith("SecretKey"))).toEqual([
      "SecretKeyBackedUp",
      "SecretKeyRestored",
      "SecretKeyProtected",
    ]);
  });
});
