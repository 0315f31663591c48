import { expect, test } from "vitest";
import { GitHubServer } from "../../../test/world/github.ts";
import { rbacWorld } from "../../../test/world/rbac-world.ts";
import type { User } from "../contract.ts";
import { GitHubResolver } from "./github.ts";

const person = (id: number, login: string): User => ({ id: login, username: login, kind: "person", disabled: false, createdAt: "", github: { id, login } });
const [ada, bob, cleo] = [person(7, "ada"), person(8, "bob"), person(9, "cleo")];

async function github() {
  const server = await GitHubServer.start();
  server.repositories.set("acme/web", {
    visibility: "private",
    people: { ada: { id: 7, permission: "admin" }, bob: { id: 8, permission: "write" }, cleo: { id: 9, permission: "read" } },
  });
  server.repositories.set("acme/site", { visibility: "public", people: {} });
  server.repositories.set("acme/inner", { visibility: "internal", people: {} });
  const credentials = { clientId: GitHubServer.clientId, privateKey: server.privateKey };
  const resolver = (more: object = {}): GitHubResolver => new GitHubResolver({ credentials, api: server.url, ...more });
  return { server, resolver };
}

test("an administrator owns it, who may write is assigned, who may read is neither", async () => {
  const { server, resolver } = await github();
  await using _ = server;
  const one = resolver();
  expect(await one.factsOf(ada, "acme/web")).toEqual({ public: false, owned: true, assigned: true });
  expect(await one.factsOf(bob, "acme/web")).toEqual({ public: false, owned: false, assigned: true });
  expect(await one.factsOf(cleo, "acme/web")).toEqual({ public: false, owned: false, assigned: false });
  expect(await one.factsOf(ada, "acme/site")).toEqual({ public: true });
  expect(await one.factsOf(ada, "acme/inner")).toEqual({ public: false });
  expect(await one.factsOf(ada, "acme/gone")).toEqual({});
  // One token of the installation serves them all, and an answer is kept for a while.
  expect(server.requests.filter((request) => request.startsWith("POST")).length).toBe(1);
  const before = server.requests.length;
  await one.factsOf(ada, "acme/web");
  expect(server.requests.length).toBe(before);
});

test("a login that somebody else has by now is not the user", async () => {
  const { server, resolver } = await github();
  await using _ = server;
  expect(await resolver().factsOf(person(1007, "ada"), "acme/web")).toEqual({ public: false });
  expect(await resolver().factsOf({ ...ada, github: undefined }, "acme/web")).toEqual({ public: false });
});

test("what GitHub does not say, says late, or says in another way, is not known", async () => {
  const { server, resolver } = await github();
  await using _ = server;
  const one = resolver({ timeout: 500 });
  const unavailable = { code: "UPSTREAM_UNAVAILABLE" };
  const answers: readonly ((response: Parameters<NonNullable<GitHubServer["broken"]>>[0]) => void)[] = [
    (response) => response.writeHead(500).end("{}"),
    (response) => response.writeHead(403).end("{}"),
    (response) => response.writeHead(200).end("not JSON"),
    (response) => response.writeHead(200).end('{"id": "seven"}'),
    (response) => response.writeHead(200).end("x".repeat(300_000)),
    (response) => response.destroy(),
    () => undefined,
  ];
  for (const answer of answers) {
    server.broken = answer;
    await expect(one.factsOf(ada, "acme/web")).rejects.toMatchObject(unavailable);
  }
  // A failure is not kept.
  server.broken = undefined;
  expect(await one.factsOf(ada, "acme/web")).toMatchObject({ owned: true });
  server.broken = (response) => response.writeHead(301, { location: "/repositories/1" }).end();
  expect(await one.factsOf(ada, "acme/site")).toEqual({});
});

test("keys and addresses that are none are refused at once", () => {
  for (const options of [
    { credentials: { clientId: "x", privateKey: "no key" } },
    { credentials: { token: "a\nb" } },
    { credentials: { token: "x" }, api: "http://github.example" },
    { credentials: { token: "x" }, api: "https://user:password@github.example" },
    { credentials: { token: "x" }, maxAge: 1e9 },
    { credentials: {} },
  ])
    expect(() => Reflect.construct(GitHubResolver, [options])).toThrowError(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});

test("a role for owners follows GitHub; when GitHub is silent its grants do not hold, and its denials do", async () => {
  const { server, resolver } = await github();
  await using _ = server;
  await using world = await rbacWorld({ resolvers: [resolver({ maxAge: 0 })] });
  const { rbac } = world;
  await rbac.createUser({ id: "ada", username: "ada", github: { id: 7, login: "ada" } });
  await rbac.createRole({ name: "owner", permissions: ["workflows:*"], constraints: { repositories: "owned" } });
  await rbac.createRole({ name: "not in public", deny: ["workflows:publish"], constraints: { repositories: "public" } });
  for (const role of ["owner", "not-in-public"]) await rbac.assignRole("ada", role);
  const reason = async (permission: string, repository: string): Promise<string> => (await rbac.explainPermission("ada", permission, { repository })).reason;
  expect([await reason("workflows:run", "Acme/Web"), await reason("workflows:publish", "acme/web")]).toEqual(["granted", "granted"]);
  expect(await reason("workflows:publish", "acme/site")).toBe("deny-rule");
  server.broken = (response) => response.writeHead(502).end();
  expect([await reason("workflows:run", "acme/web"), await reason("workflows:publish", "acme/web")]).toEqual(["condition", "deny-rule"]);
  server.broken = undefined;
  // What was written down here comes first.
  await rbac.setRepository("acme/web", { owners: [], assigned: [] });
  expect(await reason("workflows:run", "acme/web")).toBe("condition");
});
