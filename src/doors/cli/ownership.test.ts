/** The command line asks GitHub who owns a repository: a server that answers like it, the built executable. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { GitHubServer } from "../../../test/world/github.ts";
import { TestProject } from "../../../test/world/project.ts";

const POLICY = `version: 1
roles: [{id: owner, name: owner, permissions: ["workflows:*"], constraints: {repositories: owned}}]
users: [{id: ada, username: ada, github: {id: 7, login: ada}, roles: [{role: owner}]}]
`;

test("a role for owners, with a token for GitHub and without", async () => {
  await using github = await GitHubServer.start();
  github.repositories.set("acme/web", { visibility: "private", people: { ada: { id: 7, permission: "admin" } } });
  using project = new TestProject("http://127.0.0.1:9/", {});
  const file = join(project.root, "rbac.yaml");
  writeFileSync(file, POLICY);
  expect(await project.cli(["rbac", "policy", "import", file])).toMatchObject({ exit: 0 });
  const check = ["rbac", "check", "ada", "workflows:run", "--repo", "acme/web"];
  expect(await project.cli(check)).toMatchObject({ exit: 4 });
  const env = { COFFERDAM_GITHUB_TOKEN: "ghs_test", GITHUB_API_URL: github.url };
  expect(await project.cli(check, { env })).toMatchObject({ exit: 0 });
  expect(github.requests).toEqual(["GET /repos/acme/web", "GET /repos/acme/web/collaborators/ada/permission"]);
  expect(await project.cli(check, { env: { ...env, GITHUB_API_URL: "http://github.example" } })).toMatchObject({ exit: 2 });
});
