/** Jobs of users: who has `jobs:create` in the repository runs them, on record, and nobody else. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { parseReport } from "../../src/jobs/index.ts";
import { JobWorld } from "../world/job-world.ts";
import { has, requires } from "../world/needs.ts";

let world: JobWorld;

beforeAll(async () => {
  if (!has("docker") || !has("container")) return;
  world = await JobWorld.start();
  world.policy("version: 1\njobs: {unscanned: accept, network: none, authorization: roles}\n");
});
afterAll(async () => await world?.[Symbol.asyncDispose]());
beforeEach((context) => {
  requires(context, "docker");
  requires(context, "container");
});

async function rbac(...args: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await world.cli(["rbac", ...args]);
  expect(exit, stderr).toBe(0);
  return stdout.trim();
}

test("a token of a user with the role runs jobs in the repository of the role, and no others; without one nothing runs", async () => {
  await rbac("user", "create", "ada");
  await rbac("assign", "ada", "developer", "--repo", "acme/web");
  const token = await rbac("token", "create", "ada", "--name", "ci");
  const env = { COFFERDAM_TOKEN: token };
  const run = await world.job({ command: ["true"], env });
  expect([run.exit, run.stderr]).toEqual([0, expect.stringContaining("PASSED")]);
  const { identity, checks, score } = run.report;
  expect(identity).toMatchObject({ rule: "developer/allow/jobs:create" });
  expect(checks).toMatchObject({ authentication: { state: "passed" }, authorization: { state: "passed", why: expect.stringContaining("may jobs:create") } });
  // Lines of the score are about what is missing.
  expect(score?.lines.map(({ control }) => control)).not.toContain("job.authorized");
  const id = world.newId();
  const elsewhere = world.words(id, { command: ["true"], options: ["--repo", "acme/api"] });
  expect((await world.cli(elsewhere, { env })).exit).toBe(4);
  expect(await world.report(id)).toMatchObject({ verdict: "blocked", checks: { authentication: { state: "passed" }, authorization: { state: "refused" } } });
  for (const wrong of [{}, { COFFERDAM_TOKEN: `${token.slice(0, -1)}x` }, { COFFERDAM_SESSION: "x" }, { COFFERDAM_TOKEN: token, COFFERDAM_SESSION: "x" }]) {
    const refused = await world.cli(world.words(world.newId(), { command: ["true"] }), { env: wrong });
    expect([4, 2], refused.stderr).toContain(refused.exit);
  }
  const { stdout } = await world.cli(["audit", "search", "--json", "--category", "authorization", "--action", "permission_denied"]);
  expect(JSON.parse(stdout)).toMatchObject({ events: [{ resourceId: "jobs:create", details: { asked: { repository: "acme/api" } } }] });
  expect(parseReport(run.report)).toEqual(run.report);
  expect(JSON.stringify(run.report)).not.toContain(token);
});

test("a job's secrets are for who may use them: jobs:create alone gets none", async () => {
  await rbac("user", "create", "bob");
  await rbac("assign", "bob", "developer", "--repo", "acme/web");
  const [token, narrow] = [
    await rbac("token", "create", "bob", "--name", "all"),
    await rbac("token", "create", "bob", "--name", "narrow", "--permission", "jobs:create"),
  ];
  expect((await world.cli(["secret", "put", "npm/publish", "--repository", "acme/web"], { input: "s3cret-of-bob\n" })).exit).toBe(0);
  const options = ["--secret", "NPM_TOKEN=npm/publish"];
  const command = ["sh", "-c", "wc -c < /run/secrets/NPM_TOKEN"];
  const run = await world.job({ command, options, env: { COFFERDAM_TOKEN: token } });
  expect([run.exit, run.stdout.trim()]).toEqual([0, "13"]);
  const refused = await world.job({ command, options, env: { COFFERDAM_TOKEN: narrow } });
  expect(refused.report).toMatchObject({ verdict: "blocked", stoppedBy: { code: "PERMISSION_DENIED", message: expect.stringContaining("secrets:use") } });
  const { stdout } = await world.cli(["audit", "search", "--json", "--category", "secrets", "--action", "SecretRetrieved"]);
  expect(JSON.parse(stdout).events).toHaveLength(1);
});
