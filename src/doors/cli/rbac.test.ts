/** The rbac commands as an operator meets them: the built executable, a state directory, secrets on standard input. */
import { spawn } from "node:child_process";
import { chmodSync, chownSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Issuer } from "../../../test/world/issuer.ts";
import { requires } from "../../../test/world/needs.ts";
import { type CliResult, TestProject } from "../../../test/world/project.ts";
import { codeOf } from "../../rbac/identity/totp.ts";

const PASSWORD = "correct horse battery staple";
const project = new TestProject("http://127.0.0.1:9/", {});
afterAll(() => project[Symbol.dispose]());

interface As {
  readonly input?: string;
  readonly token?: string;
  readonly session?: string;
}
const rbac = async (args: readonly string[], { input, token, session }: As = {}): Promise<CliResult> => {
  const env = { ...(token !== undefined && { COFFERDAM_TOKEN: token }), ...(session !== undefined && { COFFERDAM_SESSION: session }) };
  return await project.cli(["rbac", ...args], { env, ...(input !== undefined && { input }) });
};
const json = async (args: readonly string[], as: As = {}): Promise<Record<string, unknown>> => JSON.parse((await rbac([...args, "--json"], as)).stdout);
const done = async (args: readonly string[], as: As = {}): Promise<string> => {
  const { exit, stdout, stderr } = await rbac(args, as);
  expect([exit, stderr]).toEqual([0, expect.any(String)]);
  return stdout.trim();
};

beforeAll(async () => {
  await done(["setup", "chief"], { input: `${PASSWORD}\n` });
  for (const name of ["ada", "bob"]) await done(["user", "create", name]);
  await done(["user", "create", "robot", "--service"]);
});

test("help at every depth, with examples; a wrong word is answered with the right one", async () => {
  const overview = await done(["--help"]);
  for (const name of ["setup", "user", "role", "assign", "check", "explain", "token", "login", "session", "recover"]) expect(overview).toContain(`  ${name} `);
  expect(await done(["user", "--help"])).toContain("usage: cofferdam rbac user COMMAND");
  expect(await done(["user", "totp", "--help"])).toMatch(/usage: cofferdam rbac user totp USER[\s\S]*examples:/);
  expect(await rbac(["user", "creat"])).toMatchObject({ exit: 2, stderr: expect.stringMatching(/no rbac user command "creat" \(did you mean create\?\)/) });
  expect(await rbac(["user"])).toMatchObject({ exit: 2 });
  expect(await rbac(["assign", "ada"])).toMatchObject({ exit: 2, stderr: expect.stringContaining("this takes USER and ROLE") });
  const completion = (await project.cli(["completion", "bash"])).stdout;
  expect(completion).toMatch(/rbac\) choices=".*\btotp\b.*\bunassign\b.*--permission/);
});

describe("set up", () => {
  test("there is one administrator, and no second first one", async () => {
    expect(await json(["user", "show", "chief"])).toMatchObject({
      schema: "cofferdam/rbac-user-show/v1",
      assignments: [{ roleId: "admin", grantedBy: "set-up token" }],
      credentials: { password: true, secondFactor: false, tokens: 0 },
    });
    for (const args of [
      ["setup", "thief"],
      ["setup", "--token"],
    ])
      expect(await rbac(args, { input: `${PASSWORD}\n` })).toMatchObject({ exit: 2, stderr: expect.stringContaining("cofferdam rbac recover") });
  });

  test("no password among the arguments, and none at all is said so", async () => {
    expect(await rbac(["user", "password", "ada"])).toMatchObject({ exit: 2, stderr: expect.stringContaining("it is read from standard input") });
    expect(await rbac(["user", "password", "ada", PASSWORD])).toMatchObject({ exit: 2 });
    expect(await rbac(["user", "password", "ada"], { input: "short\n" })).toMatchObject({ exit: 2, stderr: expect.stringContaining("at least 12 characters") });
  });

  test("recover: a new password for who is locked out", async () => {
    await done(["user", "password", "bob"], { input: `${PASSWORD}\n` });
    expect(await rbac(["recover", "bob"], { input: "another good passphrase\n" })).toMatchObject({ exit: 0 });
    expect(await rbac(["login", "bob"], { input: `${PASSWORD}\n` })).toMatchObject({ exit: 4, stdout: "" });
    expect(await done(["login", "bob"], { input: "another good passphrase\n" })).toMatch(/^cfds_[0-9A-Za-z]{49}$/);
  });
});

describe("check and explain", () => {
  test("yes is 0, no is 4, each with its reason", async () => {
    expect(await done(["role", "create", "CI Manager", "--permission", "workflows:*", "--permission", "runners:read", "--repositories", "acme/*"])).toBe(
      "ci-manager",
    );
    await done(["assign", "ADA", "ci-manager"]);
    expect(await rbac(["check", "ada", "workflows:execute", "--repo", "Acme/Web"])).toMatchObject({
      exit: 0,
      stdout: expect.stringMatching(/^allowed {2}ada may workflows:execute/),
    });
    expect(await json(["check", "ada", "workflows:execute", "--repo", "acme/web"])).toMatchObject({
      schema: "cofferdam/rbac-check/v1",
      allowed: true,
      rule: "ci-manager/allow/workflows:*",
      path: ["ci-manager"],
    });
    const no = await rbac(["explain", "ada", "workflows:execute", "--repo", "other/web"]);
    expect(no.exit).toBe(4);
    expect(no.stdout).toMatch(
      /^denied {3}ada may not workflows:execute[^\n]*\nrule {5}ci-manager\/allow\/workflows:\*\nthrough {2}ci-manager\nfailed {3}repositories: /,
    );
    expect(await json(["check", "ada", "workflows:execute", "--repo", "other/web"])).toMatchObject({
      allowed: false,
      failed: { kind: "repositories", outcome: "failed" },
    });
    for (const permission of ["Workflows:execute", "*", "a:b:c", "__proto__:x", "x".repeat(10_000)])
      expect(await rbac(["check", "ada", permission]), permission.slice(0, 20)).toMatchObject({ exit: 4 });
    expect(await rbac(["check", "nobody", "jobs:read"])).toMatchObject({ exit: 2, stderr: expect.stringContaining("NOT_FOUND") });
  });

  test("a role with conditions is shown as it was made; a circle and a stale version are refused", async () => {
    const args = [
      "--inherits",
      "developer",
      "--deny",
      "secrets:read",
      "--hours",
      "22:00-06:00",
      "--timezone",
      "Europe/Berlin",
      "--days",
      "mon,tue",
      "--ip",
      "10.0.0.0/8",
      "--mfa",
    ];
    await done(["role", "create", "night", ...args]);
    expect(await json(["role", "show", "night"])).toMatchObject({
      role: {
        inherits: ["developer"],
        deny: ["secrets:read"],
        constraints: {
          timeRestriction: { startTime: "22:00", endTime: "06:00", timezone: "Europe/Berlin", days: ["mon", "tue"] },
          ipAllowList: ["10.0.0.0/8"],
          mfa: true,
        },
      },
    });
    expect(await done(["role", "show", "night"])).toContain("when      22:00 to 06:00 Europe/Berlin on mon tue, from 10.0.0.0/8, with a second factor");
    expect(await rbac(["role", "update", "night", "--inherits", "night"])).toMatchObject({ exit: 2 });
    expect(await rbac(["role", "update", "night", "--no-conditions", "--if-version", "7"])).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining("CONFLICT"),
    });
    await done(["role", "update", "night", "--no-conditions", "--if-version", "1"]);
    expect(await json(["role", "show", "night"])).toMatchObject({ role: { version: 2 } });
    expect(Object(await json(["role", "show", "night"])).role).not.toHaveProperty("constraints");
    expect(await rbac(["role", "delete", "admin"])).toMatchObject({ exit: 2 });
    await done(["role", "delete", "night"]);
  });

  test("in one place and until then", async () => {
    await done(["assign", "bob", "developer", "--repo", "acme/web", "--expires", "30d"]);
    expect(await done(["user", "show", "bob"])).toMatch(/role {6}developer on acme\/web until \d{4}-\d\d-\d\dT\d\d:\d\dZ, by local-owner/);
    expect(await rbac(["check", "bob", "jobs:create", "--repo", "acme/api"])).toMatchObject({ exit: 4 });
    expect(await rbac(["assign", "bob", "developer", "--expires", "tomorrow"])).toMatchObject({ exit: 2, stderr: expect.stringContaining("not a time") });
    expect(await rbac(["unassign", "bob", "developer"])).toMatchObject({ exit: 2, stderr: expect.stringContaining("does not have developer everywhere") });
    await done(["unassign", "bob", "developer", "--repo", "acme/web"]);
  });
});

describe("repositories and the policy as a file", () => {
  test("whose it is decides where a role hangs on that", async () => {
    await done(["role", "create", "keeper", "--permission", "releases:create", "--repositories", "owned"]);
    await done(["assign", "bob", "keeper"]);
    expect(await rbac(["check", "bob", "releases:create", "--repo", "acme/web"])).toMatchObject({ exit: 4 });
    await done(["repository", "set", "Acme/Web", "--private", "--owner", "bob", "--assigned", "ada"]);
    expect(await rbac(["check", "bob", "releases:create", "--repo", "acme/web"])).toMatchObject({ exit: 0 });
    expect(await done(["repository", "show", "acme/web"])).toBe("public    no\nowners    bob\nassigned  ada");
    await done(["repository", "forget", "acme/web"]);
    expect(await rbac(["repository", "show", "acme/web"])).toMatchObject({ exit: 2 });
    expect(await rbac(["check", "bob", "releases:create", "--repo", "acme/web"])).toMatchObject({ exit: 4 });
    expect(await rbac(["repository", "set", "acme/web", "--owner", "nobody"])).toMatchObject({ exit: 2 });
  });

  test("out, tried, and in again; a file that is none changes nothing", async () => {
    const before = await done(["policy", "export"]);
    project.write("rbac.yaml", before.replace("releases:create", "releases:read"));
    const tried = await json(["policy", "dry-run", "rbac.yaml"]);
    expect(tried).toMatchObject({ schema: "cofferdam/rbac-policy-dry-run/v1", difference: { roles: { changed: ["keeper"], added: [], removed: [] } } });
    // Bob was let once, while acme/web was known to be bob's.
    expect(await done(["policy", "dry-run", "rbac.yaml"])).toMatch(
      /decisions 1 of \d+ of the last 30d would be others[\s\S]*bob releases:create on acme\/web: granted, would be no-rule/,
    );
    expect(await done(["policy", "export"])).toBe(before);
    await done(["policy", "import", "rbac.yaml"]);
    expect(await json(["role", "show", "keeper"])).toMatchObject({ role: { permissions: ["releases:read"] } });
    expect((await rbac(["policy", "import", "rbac.yaml"])).stderr).toContain("nothing changes");
    for (const text of ["version: 2", "version: 1\nroles: [{id: x, name: x, permission: ['*:*']}]", "a: &a [*a, *a]", "x".repeat(9_000_000)]) {
      project.write("bad.yaml", text);
      expect(await rbac(["policy", "import", "bad.yaml"]), text.slice(0, 40)).toMatchObject({ exit: 2 });
    }
    expect(await rbac(["policy", "import", "nothing-there.yaml"])).toMatchObject({ exit: 2 });
    await done(["unassign", "bob", "keeper"]);
  });
});

describe("as a user", () => {
  test("nobody grants what they lack: not with a role, a token, a password, nor by enabling somebody", async () => {
    await done([
      "role",
      "create",
      "people",
      ...["users:read", "users:create", "users:update", "roles:assign", "credentials:set", "tokens:create"].flatMap((one) => ["--permission", one]),
    ]);
    await done(["assign", "ada", "people"]);
    const token = await done(["token", "create", "ada", "--name", "test"]);
    const as = { token };
    await done(["user", "create", "carol"], as);
    await done(["assign", "carol", "people"], as);
    for (const args of [
      ["assign", "carol", "admin"],
      ["assign", "ada", "admin"],
      ["assign", "ada", "developer"],
      ["role", "create", "x", "--permission", "*:*"],
      ["token", "create", "chief", "--name", "x"],
      ["user", "delete", "carol"],
      ["policy", "import", "rbac.yaml"],
      ["policy", "export"],
      ["repository", "set", "acme/web", "--owner", "ada"],
      ["token", "list"],
      ["session", "list"],
    ])
      expect(await rbac(args, as), args.join(" ")).toMatchObject({ exit: 4, stdout: "", stderr: expect.stringMatching(/PERMISSION_DENIED/) });
    expect(await rbac(["user", "password", "chief"], { ...as, input: `${PASSWORD}\n` })).toMatchObject({ exit: 4 });
    expect(await rbac(["recover", "chief"], { ...as, input: `${PASSWORD}\n` })).toMatchObject({ exit: 4 });
    expect(await rbac(["setup", "--token"], as)).toMatchObject({ exit: 4 });
    // What ada has covers carol, so ada may set carol's password.
    await done(["user", "password", "carol"], { ...as, input: `${PASSWORD}\n` });
    expect(await rbac(["check", "ada", "jobs:create"], as)).toMatchObject({ exit: 4 });
  });

  test("a token is limited, seen in lists without its secret, and over when it is revoked", async () => {
    await done(["assign", "robot", "developer"]);
    const made = await json(["token", "create", "robot", "--name", "nightly", "--permission", "jobs:create", "--repo", "acme/*", "--expires", "30d"]);
    const [token, id] = [String(made["token"]), String(made["id"])];
    expect(await done(["token", "verify"], { input: `${token}\n` })).toMatch(/^good {5}tok_\w+ of robot until .*, jobs:create in acme\/\*$/);
    expect(await rbac(["token", "verify"], { input: `${token.slice(0, -1)}\n` })).toMatchObject({ exit: 4, stdout: "" });
    expect(await rbac(["token", "verify"], { input: `${"x".repeat(20_000)}\n` })).toMatchObject({ exit: 2 });
    const list = await done(["token", "list", "robot"]);
    expect(list).toMatch(/robot {2}nightly {2}until/);
    expect(list).not.toContain(token.slice(4));
    expect(await rbac(["user", "list"], { token })).toMatchObject({ exit: 4 });
    await done(["token", "revoke", id]);
    expect(await rbac(["user", "list"], { token })).toMatchObject({ exit: 4, stderr: expect.stringContaining("UNAUTHENTICATED") });
    expect(await rbac(["token", "revoke", id])).toMatchObject({ exit: 2 });
  });

  test("login, second factor, sessions", async () => {
    await done(["user", "password", "ada"], { input: `${PASSWORD}\n` });
    const session = await done(["login", "ada"], { input: `${PASSWORD}\n` });
    const as = { session };
    expect(await json(["session", "list", "ada"], as)).toMatchObject({ sessions: [{ method: "password", mfa: false, userAgent: "cofferdam command line" }] });
    // A session that was opened with a password may set up a second factor; a token may not.
    const enrolment = await json(["user", "totp", "ada"], as);
    const secret = Buffer.from((base32Bits(String(enrolment["secret"])).match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
    // Of this step and the next one: good wherever the half minute ends meanwhile.
    const code = (step = 0): string => codeOf(secret, Math.floor(Date.now() / 30_000) + step);
    expect(await rbac(["user", "totp", "ada", "--confirm"], { ...as, input: "000000\n" })).toMatchObject({ exit: 4 });
    const codes = (await done(["user", "totp", "ada", "--confirm"], { ...as, input: `${code()}\n` })).split("\n");
    expect(codes).toHaveLength(10);
    expect(await rbac(["login", "ada"], { input: `${PASSWORD}\n` })).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining("no code of the second factor"),
    });
    expect(await rbac(["login", "ada"], { input: `${PASSWORD}\n123\n` })).toMatchObject({ exit: 4 });
    const second = await json(["login", "ada"], { input: `${PASSWORD}\n${code(1)}\n` });
    expect(second).toMatchObject({ schema: "cofferdam/rbac-login/v1", mfa: true });
    await done(["login", "ada", "--recovery"], { input: `${PASSWORD}\n${codes[0]}\n` });
    await done(["session", "revoke", String(second["handle"])]);
    expect(await rbac(["user", "list"], { session: String(second["session"]) })).toMatchObject({ exit: 4 });
    expect(await rbac(["session", "revoke", session])).toMatchObject({ exit: 2 });
    expect(await json(["session", "revoke", "--user", "ada"])).toMatchObject({ ended: 2 });
    expect(await rbac(["user", "list"], as)).toMatchObject({ exit: 4 });
  });

  test("whoever does not own the state directory is nobody here", async (context) => {
    if (process.getuid?.() !== 0) context.skip("another owner can be given by root alone");
    chownSync(project.state, 12_345, 12_345);
    expect(await rbac(["user", "list"])).toMatchObject({ exit: 4, stderr: expect.stringContaining("belongs to uid 12345") });
    chownSync(project.state, 0, 0);
  });
});

test("a job of GitHub Actions gets a session of the user that the policy names, once a token; a stranger's gets none", async (context) => {
  requires(context, "openssl");
  const issuer = new Issuer(join(project.base, "issuer"));
  await issuer.start();
  try {
    const rule = "{user: robot, events: [push, pull_request]}";
    project.userPolicy(`version: 1\nidentity: {issuer: "${issuer.url}", audience: us, jobs: {"4711": ${rule}}}\n`);
    const env = { NODE_EXTRA_CA_CERTS: join(project.base, "issuer", "ca.pem") };
    const now = Math.floor(Date.now() / 1000);
    const token = (jti: string, more: object = {}): string => {
      const who = { iss: issuer.url, aud: "us", sub: "repo:Acme/Web:ref:refs/heads/main", jti, iat: now, nbf: now - 60, exp: now + 600 };
      const job = {
        repository: "Acme/Web",
        repository_id: "4711",
        event_name: "push",
        job_workflow_ref: "Acme/Web/x.yml@refs/heads/main",
        run_id: "1",
        run_attempt: "1",
      };
      return issuer.token({ ...who, ...job, ...more });
    };
    const login = async (text: string): Promise<CliResult> => await project.cli(["rbac", "login", "--job"], { env, input: `${text}\n` });
    const good = token("a");
    const { exit, stdout } = await login(good);
    expect([exit, stdout]).toEqual([0, expect.stringMatching(/^cfds_/)]);
    const session = stdout.trim();
    await done(["assign", "robot", "developer"]);
    expect(await rbac(["check", "robot", "jobs:create", "--repo", "acme/web"], { session })).toMatchObject({ exit: 0 });
    expect(await rbac(["user", "list"], { session })).toMatchObject({ exit: 4 });
    expect(await login(good)).toMatchObject({ exit: 4, stderr: expect.stringContaining("shown before") });
    expect(await login(token("b", { aud: "them" }))).toMatchObject({ exit: 4, stdout: "" });
    expect(await login(token("c", { event_name: "pull_request" }))).toMatchObject({
      exit: 4,
      stdout: "",
      stderr: expect.stringContaining("may be the work of a stranger"),
    });
    expect(await login(token("d", { repository_id: "4712" }))).toMatchObject({ exit: 4, stderr: expect.stringContaining("no rule") });
    // A repository's own file has no say in it.
    project.write("cofferdam.yaml", 'version: 1\nidentity: {jobs: {"4712": {user: chief}}}\n');
    expect(await login(token("e", { repository_id: "4712" }))).toMatchObject({ exit: 4 });
    await issuer.stop();
    expect(await login(token("f"))).toMatchObject({ exit: 8, stderr: expect.stringContaining("cannot be fetched") });
  } finally {
    project.write("cofferdam.yaml", "version: 1\n");
    project.userPolicy("version: 1\n");
  }
});

test("on a terminal it is asked for, twice when new, and not shown", async (context) => {
  requires(context, "script");
  const words = project.command("rbac", "user", "password", "carol").map((word) => `'${word}'`);
  const child = spawn("/usr/bin/script", ["-qec", words.join(" "), "/dev/null"], { env: project.env, cwd: project.root, stdio: ["pipe", "pipe", "inherit"] });
  let shown = "";
  let typed = 0;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
    // Type when it asks, as people do: a terminal shows what comes before.
    const asked = shown.match(/new password of carol(, again)?: /g)?.length ?? 0;
    for (; typed < asked; typed += 1) child.stdin.write(`typed by a person\r`);
  });
  const exit = await new Promise((resolve) => child.once("close", resolve));
  expect([exit, shown]).toEqual([0, expect.stringContaining("the password of carol is set")]);
  expect(typed).toBe(2);
  expect(shown).not.toContain("typed by");
  expect(await rbac(["login", "carol"], { input: "typed by a person\n" })).toMatchObject({ exit: 0 });
});

test("the doctor says how it stands", async () => {
  const identity = async (...args: string[]): Promise<unknown> => {
    const { checks } = JSON.parse((await project.cli(["doctor", "--json", ...args])).stdout);
    return checks.find(({ name }: { readonly name: string }) => name === "identity");
  };
  expect(await identity()).toMatchObject({ status: "ok", detail: expect.stringMatching(/^5 users, \d+ sessions?, \d+ tokens?$/) });
  expect(await identity("--level", "high")).toMatchObject({
    status: "warn",
    detail: expect.stringContaining("chief has none"),
    fix: "cofferdam rbac user totp chief",
  });
  const key = join(project.state, "keys", "identity.key");
  chmodSync(key, 0o644);
  expect(await identity()).toMatchObject({ status: "fail", fix: expect.stringContaining("chmod 600") });
  chmodSync(key, 0o600);
});

test("everything is on record, and no secret is", async () => {
  const { stdout } = await project.cli(["audit", "export", "--format", "json"]);
  for (const action of [
    "user_created",
    "role_created",
    "role_assigned",
    "token_created",
    "token_revoked",
    "password_set",
    "session_created",
    "session_ended",
    "set_up",
    "account_recovered",
  ])
    expect(stdout).toContain(`"${action}"`);
  expect(stdout).not.toMatch(/correct horse|another good|typed by|cfd[so]?_[0-9A-Za-z]{20}/);
  expect((await project.cli(["audit", "verify"])).exit).toBe(0);
});

function base32Bits(text: string): string {
  return [...text].map((one) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(one).toString(2).padStart(5, "0")).join("");
}
