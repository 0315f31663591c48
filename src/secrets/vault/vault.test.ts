/** Backend vault against a server that behaves as the API is documented; the same tests against a real one when VAULT_ADDR names it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateKeyPair, SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeCertificates } from "../../../test/world/docker-tls.ts";
import { requires } from "../../../test/world/needs.ts";
import { PLAIN, SetClock, versionOf } from "../../../test/world/secret-store.ts";
import { VaultServer } from "../../../test/world/vault-server.ts";
import { systemClock } from "../../foundation/index.ts";
import { SecretManagementSystem } from "../management.ts";
import { VaultBackend, type VaultOptions } from "./vault-backend.ts";
import { vaultProvider } from "./vault-provider.ts";

let server: VaultServer;
let token: string;
beforeEach(async () => {
  server = await VaultServer.start();
  token = server.grant();
});
afterEach(async () => await server[Symbol.asyncDispose]());

type Where = Partial<VaultOptions>;

async function opened(options: Where = {}): Promise<VaultBackend> {
  const backend = new VaultBackend({ address: server.address, auth: { method: "token", token: async () => token }, timeout: 2000, ...options }, systemClock);
  await backend.initialize();
  return backend;
}

async function text(backend: VaultBackend, id: string, version?: number): Promise<string> {
  const found = await backend.find(id);
  if (found === undefined) throw new Error("not found");
  return Buffer.from(await found.value(version ?? found.info.currentVersion)).toString();
}

const HOUR = 3_600_000;

async function wholeLife(backend: VaultBackend): Promise<void> {
  expect(await backend.find("a/b")).toBeUndefined();
  for (const refused of [backend.countRead("a/b", "j", 1), backend.claim("a/b", 0, 1), backend.remove("a/b")])
    await expect(refused).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await backend.add("a/b", versionOf("one", { maxReads: 2 }))).toBe(1);
  await expect(backend.add("a/b", versionOf("again"))).rejects.toMatchObject({ code: "CONFLICT" });
  expect(await backend.add("a/b", versionOf("two", { maxReads: 2, after: 1, grace: HOUR }))).toBe(2);
  expect([await text(backend, "a/b"), await text(backend, "a/b", 1)]).toEqual(["two", "one"]);
  expect((await backend.find("a/b"))?.info).toMatchObject({ ...PLAIN, maxReads: 2, currentVersion: 2, versions: [{ state: "grace" }, { state: "current" }] });
  await backend.countRead("a/b", "j1", 1);
  await expect(backend.countRead("a/b", "j1", 1)).rejects.toMatchObject({ code: "SECRET_EXPIRED" });
  await backend.countRead("a/b", "j2", 1);
  await expect(backend.countRead("a/b", "j3", 1)).rejects.toMatchObject({ code: "SECRET_EXPIRED" });
  expect((await backend.find("a/b"))?.info.reads).toBe(2);
  // Other words end what was before, and its counts.
  expect(await backend.add("a/b", versionOf("three", { after: 2, grace: HOUR }))).toBe(3);
  expect((await backend.find("a/b"))?.info).toMatchObject({ reads: 0, versions: [{ state: "destroyed" }, { state: "destroyed" }, { state: "current" }] });
  await expect(text(backend, "a/b", 2)).rejects.toMatchObject({ code: "NOT_FOUND" });
  await backend.claim("a/b", 3, Date.now() + HOUR);
  await expect(backend.claim("a/b", 3, Date.now() + HOUR)).rejects.toMatchObject({ code: "CONFLICT" });
  await expect(backend.add("a/b", versionOf("four", { after: 3 }))).rejects.toMatchObject({ code: "CONFLICT" });
  expect(await backend.add("a/b", { ...versionOf("four", { after: 3 }), claimed: true })).toBe(4);
  for (const id of ["a", "a-b", "z"]) await backend.add(id, versionOf("x"));
  await backend.remove("z");
  expect([await backend.list(undefined, 10), await backend.list("a", 1), await backend.list("a-b", 9)]).toEqual([["a", "a-b", "a/b"], ["a-b"], ["a/b"]]);
  expect([await backend.remove("a/b"), await backend.remove("a/b")]).toEqual([true, false]);
  expect((await backend.find("a/b"))?.info).toMatchObject({ deleted: true, currentVersion: 4 });
  await expect(text(backend, "a/b")).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await backend.add("a/b", versionOf("anew"))).toBe(5);
  expect(await text(backend, "a/b")).toBe("anew");
  for (const id of ["a", "a-b", "a/b"]) await backend.remove(id);
  expect(await backend.list(undefined, 10)).toEqual([]);
}

test("a secret's whole life, and no value in the vault after it was destroyed", async () => {
  const backend = await opened();
  await wholeLife(backend);
  await backend.add("kept", versionOf("hunter2"));
  await backend.add("kept", versionOf("hunter3", { after: 1 }));
  const dump = server.dump();
  expect([dump.includes(Buffer.from("hunter2").toString("base64")), dump.includes(Buffer.from("hunter3").toString("base64"))]).toEqual([false, true]);
  await backend.close();
});

test("the same with a real vault", { timeout: 60_000 }, async (context) => {
  const { VAULT_ADDR: address, VAULT_TOKEN: real } = process.env;
  if (address === undefined || real === undefined) return context.skip("VAULT_ADDR and VAULT_TOKEN name no vault");
  const backend = await opened({ address, auth: { method: "token", token: async () => real }, prefix: `cofferdam-test-${process.pid}-${Date.now()}` });
  await wholeLife(backend);
  await backend.close();
});

test("of many who write at once one wins; counted reads are as many as were allowed", async () => {
  const backends = await Promise.all([opened(), opened(), opened()]);
  const [first] = backends;
  if (first === undefined) throw new Error("none");
  const adding = await Promise.allSettled(backends.map(async (backend, i) => await backend.add("a", versionOf(`value ${i}`, { maxReads: 5 }))));
  expect(adding.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const one of adding) if (one.status === "rejected") expect(one.reason).toMatchObject({ code: "CONFLICT" });
  const reading = await Promise.allSettled(Array.from({ length: 9 }, async (_, i) => await backends[i % 3]?.countRead("a", `j${i}`, undefined)));
  expect(reading.filter(({ status }) => status === "fulfilled")).toHaveLength(5);
  expect((await first.find("a"))?.info.reads).toBe(5);
});

test("what others deleted there is deleted; what others put there is not ours; sweep destroys what has lapsed", async () => {
  const backend = await opened();
  const call = async (method: string, path: string, body: object): Promise<number> =>
    (await fetch(`${server.address}/v1/secret/${path}`, { method, headers: { "x-vault-token": token }, body: JSON.stringify(body) })).status;
  await backend.add("a", versionOf("x"));
  await call("POST", "delete/cofferdam/values/a", { versions: [1] });
  expect((await backend.find("a"))?.info.deleted).toBe(true);
  await call("POST", "undelete/cofferdam/values/a", { versions: [1] });
  expect(await text(backend, "a")).toBe("x");
  await call("POST", "data/cofferdam/values/theirs", { data: { password: "p" } });
  await expect(backend.find("theirs")).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  await call("POST", "data/cofferdam/values/a", { data: { password: "p" }, options: { cas: 1 } });
  await expect(backend.find("a")).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
});

test("sweep destroys what has lapsed, by the vault's time where ours is behind", async () => {
  const backend = await opened();
  await backend.add("a", versionOf("one"));
  await backend.add("a", versionOf("two", { after: 1, grace: HOUR }));
  expect(await backend.sweep()).toBe(0);
  server.advance(3601);
  await backend.latestTime();
  expect([await backend.sweep(), await backend.sweep()]).toEqual([1, 0]);
  expect((await backend.find("a"))?.info.versions).toMatchObject([{ state: "destroyed" }, { state: "current" }]);
});

test("over TLS: with the authority that was named, and with no other", async (context) => {
  requires(context, "openssl");
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-vault-tls-"));
  try {
    const { ca } = makeCertificates(join(folder, "tls"));
    const read = (name: string): string => readFileSync(join(folder, "tls", name), "utf8");
    await using secure = await VaultServer.start({ cert: read("server.pem"), key: read("server.key") });
    const key = secure.grant();
    const at = async (more: Where): Promise<VaultBackend> =>
      await opened({ address: secure.address, auth: { method: "token", token: async () => key }, ...more });
    const backend = await at({ ca });
    await backend.add("a", versionOf("x"));
    expect(await text(backend, "a")).toBe("x");
    await expect(at({})).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE", message: expect.stringMatching(/certificate/) });
    // Nothing was said to it before that.
    expect(secure.requests.every(({ token: shown }) => shown === undefined || shown === key)).toBe(true);
    await backend.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("namespaces: one does not see the other", async () => {
  const [team, other] = ["team/a", "team/b"].map((namespace) => ({ namespace, token: server.grant({ namespace }) }));
  if (team === undefined || other === undefined) throw new Error("none");
  const at = async (namespace: string | undefined, key: string): Promise<VaultBackend> =>
    await opened({ namespace, auth: { method: "token", token: async () => key } });
  const [a, b] = [await at(team.namespace, team.token), await at(other.namespace, other.token)];
  await a.add("x", versionOf("of a"));
  expect(await b.find("x")).toBeUndefined();
  await expect(at(other.namespace, team.token)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
});

describe("logging in", () => {
  test("AppRole: a token is had, renewed in time, had anew when its longest life is over, and given back", async () => {
    server.secretIds.set("sid", { uses: 10, roleId: "rid" });
    Object.assign(server, { tokenTtl: 60, maxTtl: 90 });
    let ahead = 0;
    const clock = { now: () => Date.now(), monotonic: () => systemClock.monotonic() + ahead };
    const backend = new VaultBackend({ address: server.address, auth: { method: "approle", roleId: "rid", secretId: async () => "sid\n" } }, clock);
    await backend.initialize();
    await backend.add("a", versionOf("x"));
    const asked = (path: string): number => server.requests.filter((one) => one.path === path).length;
    expect([asked("auth/approle/login"), asked("auth/token/renew-self")]).toEqual([1, 0]);
    const goOn = (seconds: number): void => {
      ahead += seconds * 1000;
      server.advance(seconds);
    };
    goOn(45);
    expect(await text(backend, "a")).toBe("x");
    expect([asked("auth/approle/login"), asked("auth/token/renew-self")]).toEqual([1, 1]);
    // What is left of its longest life is shorter than its ttl; then it cannot be renewed any more.
    goOn(44);
    expect(await text(backend, "a")).toBe("x");
    goOn(10);
    expect(await text(backend, "a")).toBe("x");
    expect(asked("auth/approle/login")).toBe(2);
    await backend.close();
    expect(asked("auth/token/revoke-self")).toBe(1);
  });

  test("a token that was revoked under us: one login, one more try", async () => {
    server.secretIds.set("sid", { uses: 2, roleId: "rid" });
    const backend = await opened({ auth: { method: "approle", roleId: "rid", secretId: async () => "sid" } });
    await backend.add("a", versionOf("x"));
    for (const key of [...server.tokens.keys()]) server.tokens.delete(key);
    expect(await text(backend, "a")).toBe("x");
    for (const key of [...server.tokens.keys()]) server.tokens.delete(key);
    // The secret id is used up.
    await expect(backend.find("a")).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  test("a path that the policy refuses costs no login", async () => {
    server.secretIds.set("sid", { uses: 1, roleId: "rid" });
    const backend = await opened({ auth: { method: "approle", roleId: "rid", secretId: async () => "sid" } });
    server.denied.push("secret/data/cofferdam/values/a");
    await expect(backend.find("a")).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    expect(server.requests.filter(({ path }) => path === "auth/approle/login")).toHaveLength(1);
    await backend.add("b", versionOf("x"));
  });

  test("JWT: a good one, one of another key, one for somebody else, one that has ended", async () => {
    const [mine, other] = await Promise.all([generateKeyPair("ES256"), generateKeyPair("ES256")]);
    server.jwt = { key: mine.publicKey, audience: "vault" };
    const sign = async (key: CryptoKey, audience: string, ends: string): Promise<string> =>
      await new SignJWT({}).setProtectedHeader({ alg: "ES256" }).setAudience(audience).setExpirationTime(ends).sign(key);
    const at = async (jwt: string): Promise<VaultBackend> => await opened({ auth: { method: "jwt", role: "ci", jwt: async () => jwt } });
    const backend = await at(await sign(mine.privateKey, "vault", "5m"));
    await backend.add("a", versionOf("x"));
    for (const bad of [
      await sign(other.privateKey, "vault", "5m"),
      await sign(mine.privateKey, "elsewhere", "5m"),
      await sign(mine.privateKey, "vault", "-5m"),
      "x",
    ])
      await expect(at(bad)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  test("a token of somebody else's: one that ends is renewed; one that ended, or never was, is refused", async () => {
    token = server.grant({ ttl: 60 });
    let ahead = 0;
    const backend = new VaultBackend(
      { address: server.address, auth: { method: "token", token: async () => token } },
      { now: () => Date.now(), monotonic: () => systemClock.monotonic() + ahead },
    );
    await backend.initialize();
    ahead = 45_000;
    server.advance(45);
    await backend.add("a", versionOf("x"));
    server.advance(30);
    expect(await text(backend, "a")).toBe("x");
    await backend.close();
    expect(server.tokens.has(token)).toBe(true);
    server.advance(100);
    await expect(opened()).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    token = "hvs.nobodys";
    await expect(opened()).rejects.toMatchObject({ code: "UNAUTHENTICATED", message: expect.not.stringContaining("nobodys") });
  });
});

describe("a vault that is not well", () => {
  test.each([
    [501, "FAILED_PRECONDITION"],
    [472, "UPSTREAM_UNAVAILABLE"],
    [503, "UPSTREAM_UNAVAILABLE"],
    [500, "UPSTREAM_UNAVAILABLE"],
  ])("health %i: %s", async (health, code) => {
    server.health = health;
    await expect(opened()).rejects.toMatchObject({ code });
  });

  test.each([429, 473])("health %i serves", async (health) => {
    server.health = health;
    await (await opened()).close();
  });

  test("sealed in between: said, with the way out; unsealed, it goes on", async () => {
    const backend = await opened();
    await backend.add("a", versionOf("x"));
    server.sealed = true;
    await expect(backend.find("a")).rejects.toMatchObject({
      code: "UPSTREAM_UNAVAILABLE",
      message: expect.stringContaining("sealed"),
      hint: expect.stringContaining("unseal"),
    });
    server.sealed = false;
    expect(await text(backend, "a")).toBe("x");
  });

  test.each<[number, string]>([
    [400, "INVALID_ARGUMENT"],
    [403, "PERMISSION_DENIED"],
    [405, "FAILED_PRECONDITION"],
    [412, "UPSTREAM_UNAVAILABLE"],
    [413, "PAYLOAD_TOO_LARGE"],
    [429, "RATE_LIMITED"],
    [500, "UPSTREAM_UNAVAILABLE"],
    [502, "UPSTREAM_UNAVAILABLE"],
  ])("%i for good: %s", async (status, code) => {
    const backend = await opened();
    server.fault = ({ path }) => (path.startsWith("secret/") ? { status, body: { errors: ["said\nso"] }, headers: { "retry-after": "600" } } : undefined);
    await expect(backend.find("a")).rejects.toMatchObject({ code, message: expect.stringContaining("said so") });
  });

  test.each([412, 429, 473, 503])("%i once: asked again, reads and writes", async (status) => {
    const backend = await opened();
    let left = 1;
    server.fault = ({ path }) => (path.startsWith("secret/") && left-- > 0 ? { status, body: { errors: [] } } : undefined);
    await backend.add("a", versionOf("x"));
    left = 1;
    expect(await text(backend, "a")).toBe("x");
  });

  test("a write whose outcome is not known is not made twice; a read is", async () => {
    const backend = await opened();
    await backend.add("a", versionOf("x"));
    for (const fault of ["reset", { status: 500 }] as const) {
      let writes = 0;
      server.fault = ({ method, path }) => {
        if (method !== "POST" || !path.startsWith("secret/data/cofferdam/use")) return undefined;
        writes += 1;
        return fault;
      };
      await expect(backend.countRead("a", "j", undefined)).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
      expect(writes).toBe(1);
      let left = 2;
      server.fault = ({ method }) => (method === "GET" && left-- > 0 ? fault : undefined);
      expect(await text(backend, "a")).toBe("x");
    }
  });

  test("garbage, too much, never, elsewhere, nobody there: typed, in bounded time", async () => {
    const backend = await opened({ timeout: 3000 });
    const is = async (reply: NonNullable<ReturnType<NonNullable<VaultServer["fault"]>>>, code: string): Promise<void> => {
      server.fault = () => reply;
      await expect(backend.find("a")).rejects.toMatchObject({ code });
    };
    for (const body of ["<html>", "{}", '{"data":{"data":{},"metadata":{"version":"one"}}}', '{"data":{"data":null,"metadata":{"version":1}}}', "[]", "null"])
      await is({ status: 200, body }, "UPSTREAM_UNAVAILABLE");
    await is({ status: 200, body: "x".repeat(8_000_001) }, "PAYLOAD_TOO_LARGE");
    await is("hang", "DEADLINE_EXCEEDED");
    server.fault = () => ({ status: 307, headers: { location: "https://elsewhere.example/v1/x" } });
    await expect(backend.find("a")).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE", message: expect.stringContaining("https://elsewhere.example") });
    const nobody = createServer();
    await new Promise<void>((resolve) => nobody.listen(0, "127.0.0.1", resolve));
    const { port } = Object.assign({ port: 0 }, nobody.address() satisfies AddressInfo | string | null);
    await new Promise((resolve) => nobody.close(resolve));
    await expect(opened({ address: `http://127.0.0.1:${port}` })).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
  });

  test.each(["http://vault.example:8200", "ftp://vault.example", "vault.example", "https://u:p@vault.example", "https://vault.example/v1", ""])(
    "the address %j is none",
    (address) => {
      expect(() => new VaultBackend({ address, auth: { method: "token", token: async () => token } }, systemClock)).toThrow(
        expect.objectContaining({ code: "INVALID_ARGUMENT" }),
      );
    },
  );
});

test("SecretManagementSystem on a vault; new values from another path of it", async () => {
  const vault: VaultOptions = { address: server.address, auth: { method: "token", token: async () => token } };
  server.fault = ({ path }) => (path === "aws/creds/deploy" ? { status: 200, body: { data: { secret_key: "made-by-vault" } } } : undefined);
  await using secrets = new SecretManagementSystem({
    ...{
      backend: "vault",
      vault,
      clock: new SetClock(Date.now()),
      rotation: { providers: { aws: vaultProvider(vault, "aws/creds/deploy", "secret_key"), none: vaultProvider(vault, "aws/creds/deploy", "other") } },
    },
    jobs: { find: async (jobId) => ({ jobId, active: true, repository: "acme/web" }) },
  });
  await secrets.initialize();
  await secrets.storeSecret("a", "one", { autoRotate: { provider: "aws" }, allow: { repositories: ["acme/web"] } });
  expect(await secrets.rotateSecret("a")).toBe(2);
  expect((await secrets.retrieveSecret("a", { userId: "alice", jobId: "j" })).text()).toBe("made-by-vault");
  expect((await secrets.retrieveSecret("a", { userId: "alice", jobId: "j", version: 1 })).text()).toBe("one");
  await secrets.storeSecret("b", "one", { autoRotate: { provider: "none" } });
  await expect(secrets.rotateSecret("b")).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
  await expect(secrets.rewrap()).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  expect(() => new SecretManagementSystem({ backend: "vault" })).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});
