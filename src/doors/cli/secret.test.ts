import { execFile, execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { VaultServer } from "../../../test/world/vault-server.ts";

const EXECUTABLE = fileURLToPath(new URL("../../../bin/cofferdam.js", import.meta.url));
const VALUE = "npm_SECRETVALUE";
let base: string;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "cofferdam-secret-cli-"));
  file("pass", "correct horse battery\n");
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

function file(name: string, text: string | Uint8Array, mode = 0o600): string {
  writeFileSync(join(base, name), text);
  chmodSync(join(base, name), mode);
  return name;
}

interface Ran {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Values go in by standard input. */
function secret(words: string, input?: string | Uint8Array): Ran {
  const env = { PATH: process.env["PATH"], HOME: base, COFFERDAM_STATE: join(base, "state") };
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [EXECUTABLE, "secret", ...words.split(" ")], {
    cwd: base,
    env,
    encoding: "utf8",
    input: input ?? "",
  });
  // What the machine killed says nothing of what we do.
  if (signal !== null) throw new Error(`secret ${words}: killed by ${signal}`);
  return { exit: status, stdout, stderr };
}
const json = (words: string): unknown => JSON.parse(secret(`${words} --json`).stdout);

test("put, list, show, get, rotate, delete; the value is nowhere but where it was asked for", { timeout: 60_000 }, () => {
  expect(secret("put npm/publish --repository acme/web --ref refs/heads/main --expires 2099-01-31 --max-reads 5", `${VALUE}\n`)).toEqual({
    exit: 0,
    stdout: "",
    stderr: "cofferdam: npm/publish is stored, version 1\n",
  });
  expect(secret("put other", VALUE).stderr).toContain("every job may have it");
  expect(secret("list").stdout).toBe("npm/publish\nother\n");
  expect(json("list npm/")).toEqual({ schema: "cofferdam/secret-list/v1", ids: ["npm/publish"] });
  expect(secret("show npm/publish").stdout).toMatch(
    /^npm\/publish {2}owner uid \d+\nrepository {2}acme\/web\nref {9}refs\/heads\/main\nexpires {5}2099-01-31T00:00Z\nreads {7}0 of 5\nversion 1 {3}current, of \S+\n$/,
  );
  expect(json("show npm/publish")).toMatchObject({ schema: "cofferdam/secret-show/v1", id: "npm/publish", versions: [{ version: 1, state: "current" }] });
  expect(secret("get npm/publish")).toEqual({ exit: 0, stdout: VALUE, stderr: "" });
  expect(json("get npm/publish")).toEqual({ schema: "cofferdam/secret-get/v1", id: "npm/publish", value: VALUE });
  expect(secret("rotate npm/publish --file -", "next").stderr).toBe("cofferdam: version 2 of npm/publish is current\n");
  expect([secret("get npm/publish").stdout, secret("get npm/publish --version 1").stdout]).toEqual(["next", VALUE]);
  expect(secret("delete other").exit).toBe(0);
  expect(secret("delete other")).toMatchObject({ exit: 2, stderr: expect.stringContaining("NOT_FOUND") });
  expect(secret("get other").exit).toBe(2);
  // Neither the database, nor its log, nor the trail in it has a value in the clear.
  const search = (...texts: readonly string[]): string =>
    spawnSync("grep", ["-rlaF", ...texts.flatMap((one) => ["-e", one]), join(base, "state")], { encoding: "utf8" }).stdout;
  expect([search(VALUE, "correct horse"), search("npm/publish")]).toEqual(["", expect.stringContaining("cofferdam.db")]);
});

test("put does not take the place of what there is, unless it is told to: lists would be lost in silence", () => {
  secret("put once --repository acme/web", "one");
  expect(secret("put once", "two")).toMatchObject({ exit: 2, stderr: expect.stringContaining("secret rotate once") });
  expect([secret("get once").stdout, secret("show once").stdout.includes("acme/web")]).toEqual(["one", true]);
  expect(secret("put once --replace", "two").stderr).toContain("every job may have it");
});

test("the doctor looks at the key and the store, and makes neither", () => {
  const row = (state: string): object => {
    const { stdout } = spawnSync(process.execPath, [EXECUTABLE, "doctor", "--json", "--state", join(base, state)], {
      cwd: base,
      env: { PATH: process.env["PATH"], HOME: base },
      encoding: "utf8",
    });
    return JSON.parse(stdout).checks.find(({ name }: { readonly name: string }) => name === "secrets");
  };
  expect(row("state5")).toMatchObject({ status: "ok", detail: "none yet" });
  expect(existsSync(join(base, "state5", "keys", "secrets.key"))).toBe(false);
  expect(row("state")).toMatchObject({ status: "ok", detail: expect.stringMatching(/^\d+, sealed; the key is a file/) });
  const key = join(base, "state", "keys", "secrets.key");
  chmodSync(key, 0o644);
  expect(row("state")).toMatchObject({ status: "fail", fix: `chmod 600 ${key}` });
  chmodSync(key, 0o600);
});

test("a value of several lines keeps its last newline, one of one line loses it unless --exact", () => {
  secret("put lines", "one\ntwo\n");
  secret("put exact --exact", "one\n");
  secret("put crlf", "one\r\n");
  expect(["lines", "exact", "crlf"].map((id) => secret(`get ${id}`).stdout)).toEqual(["one\ntwo\n", "one\n", "one"]);
});

test("a value never comes as an argument, from a file that others may read, or from a terminal; it goes to a new private file", () => {
  expect(secret(`put npm/publish ${VALUE}`)).toMatchObject({ exit: 2, stderr: expect.stringContaining("never an argument") });
  file("loose", VALUE, 0o644);
  expect(secret("put a --file loose")).toMatchObject({ stderr: expect.stringContaining("chmod 600") });
  const ran = spawnSync("script", ["-qec", `${process.execPath} ${EXECUTABLE} secret put a; ${process.execPath} ${EXECUTABLE} secret get lines`, "/dev/null"], {
    cwd: base,
    env: { PATH: process.env["PATH"], HOME: base, COFFERDAM_STATE: join(base, "state") },
    encoding: "utf8",
  });
  expect(ran.stdout).toContain("a value typed here would be shown");
  expect(ran.stdout).toContain("this would show the value on the terminal");
  file("key.bin", Buffer.from([0, 255, 254]));
  secret("put binary --file key.bin");
  expect(secret("get binary")).toMatchObject({ exit: 2, stderr: expect.stringContaining("--output") });
  expect(secret("get binary --output out.bin").exit).toBe(0);
  expect([...readFileSync(join(base, "out.bin"))]).toEqual([0, 255, 254]);
  expect(statSync(join(base, "out.bin")).mode & 0o777).toBe(0o600);
  expect(secret("get binary --output out.bin")).toMatchObject({ exit: 2, stderr: expect.stringContaining("exists") });
});

test("import: all of a file, or nothing of it", () => {
  file(".env", "NPM_TOKEN='x1'\nAWS_KEY=y2\n");
  expect(secret("import .env --prefix web --repository acme/web").stderr).toContain("2 stored: web/npm_token, web/aws_key");
  expect(secret("get web/npm_token").stdout).toBe("x1");
  file("more.json", '{"NEW": "z", "AWS_KEY": "y3"}');
  expect(secret("import more.json --prefix web")).toMatchObject({ stderr: expect.stringContaining("nothing was stored") });
  expect(secret("list web/").stdout).toBe("web/aws_key\nweb/npm_token\n");
  expect(secret("import more.json --prefix web --replace").exit).toBe(0);
  expect(secret("get web/aws_key").stdout).toBe("y3");
  file("broken.env", "A=1\nB=$C\n");
  expect(secret("import broken.env")).toMatchObject({ exit: 2, stderr: expect.stringContaining("line 2") });
});

test("the key: rewrapped, backed up, lost, restored; kept under a passphrase when the policy says so", { timeout: 60_000 }, () => {
  expect(secret("rewrap").stderr).toMatch(/^cofferdam: \d+ values are under the key mk_/);
  expect(secret("key show").stdout).toMatch(/^mk_[0-9a-f]{32} {2}as it is in a private file, /);
  expect(secret("key backup key.backup --passphrase-file pass").exit).toBe(0);
  rmSync(join(base, "state", "keys", "secrets.key"));
  expect(secret("list")).toMatchObject({ stderr: expect.stringContaining("secret key restore") });
  expect(secret("key restore key.backup --passphrase-file pass").exit).toBe(0);
  expect(secret("get lines").stdout).toBe("one\ntwo\n");
  file("policy.yaml", `version: 1\nsecrets: {key: passphrase, passphrase-file: ${join(base, "pass")}}\n`);
  expect(secret("key protect --config policy.yaml").stderr).toContain("under a passphrase");
  expect(secret("get lines --config policy.yaml").stdout).toBe("one\ntwo\n");
  expect(secret("get lines")).toMatchObject({ exit: 2, stderr: expect.stringContaining("passphrase") });
  file("plain.yaml", "version: 1\nsecrets: {key: file}\n");
  expect(secret("key show --config policy.yaml --json").stdout).toContain('"kind":"passphrase"');
});

test("yesterday's copy of the state directory's secrets is refused, and accepted with a reason", () => {
  const state = join(base, "state2");
  const run = (words: string, input = ""): Ran => secret(`${words} --state ${state}`, input);
  const sql = (text: string): void => {
    const database = new DatabaseSync(join(state, "cofferdam.db"));
    database.exec(text);
    database.close();
  };
  run("put a", "one");
  execFileSync("cp", ["-a", join(state, "heads", "secrets"), join(base, "head.old")]);
  sql("CREATE TABLE o1 AS SELECT * FROM secret_store; CREATE TABLE o2 AS SELECT * FROM secrets; CREATE TABLE o3 AS SELECT * FROM secret_values");
  run("rotate a --file -", "two");
  // Everything of the secrets is put back, the head file too: only the trail knows better.
  sql(
    "DELETE FROM secret_values; DELETE FROM secrets; DELETE FROM secret_store; INSERT INTO secret_store SELECT * FROM o1; INSERT INTO secrets SELECT * FROM o2; INSERT INTO secret_values SELECT * FROM o3",
  );
  execFileSync("cp", ["-a", join(base, "head.old"), join(state, "heads", "secrets")]);
  expect(run("get a")).toMatchObject({ exit: 6, stdout: "", stderr: expect.stringContaining("audit trail knows") });
  expect(run("recover")).toMatchObject({ exit: 2 });
  expect(run("recover --reason restored").exit).toBe(0);
  expect(run("get a").stdout).toBe("one");
});

test("backend vault, as the policy names it; what is missing is said", async () => {
  await using server = await VaultServer.start();
  file("vault-token", server.grant());
  file("vault.yaml", `version: 1\nsecrets: {backend: vault, vault: {address: "${server.address}", token-file: ${join(base, "vault-token")}}}\n`);
  const run = async (words: string, input = ""): Promise<Ran> =>
    await new Promise((resolve) => {
      const env = { PATH: process.env["PATH"], HOME: base, COFFERDAM_STATE: join(base, "state3") };
      const child = execFile(process.execPath, [EXECUTABLE, "secret", ...words.split(" ")], { cwd: base, env }, (error, stdout, stderr) =>
        resolve({ exit: error === null ? 0 : Number(error.code), stdout, stderr }),
      );
      child.stdin?.end(input);
    });
  expect(await run("put npm/publish --config vault.yaml", VALUE)).toMatchObject({ exit: 0 });
  expect((await run("get npm/publish --config vault.yaml")).stdout).toBe(VALUE);
  expect(existsSync(join(base, "state3", "keys", "secrets.key"))).toBe(false);
  file("half.yaml", `version: 1\nsecrets: {backend: vault, vault: {address: "${server.address}"}}\n`);
  expect(await run("list --config half.yaml")).toMatchObject({ exit: 2, stderr: expect.stringContaining("token-file is missing") });
});

test("a user with a token may do what a role allows, and no more", { timeout: 60_000 }, async () => {
  const state = join(base, "state4");
  const as = (token: string | undefined, words: string, input = ""): Ran => {
    const env = { PATH: process.env["PATH"], HOME: base, COFFERDAM_STATE: state, ...(token !== undefined && { COFFERDAM_TOKEN: token }) };
    const { status, stdout, stderr } = spawnSync(process.execPath, [EXECUTABLE, ...words.split(" ")], { cwd: base, env, encoding: "utf8", input });
    return { exit: status, stdout, stderr };
  };
  for (const words of ["rbac user create ada", "rbac role create keeper --permission secrets:list --permission secrets:write", "rbac assign ada keeper"])
    expect(as(undefined, words)).toMatchObject({ exit: 0 });
  const token = as(undefined, "rbac token create ada --name test").stdout.trim();
  expect(as(token, "secret put a", VALUE)).toMatchObject({ exit: 0 });
  expect(as(token, "secret list").stdout).toBe("a\n");
  for (const words of [
    "secret get a",
    "secret rotate a --file -",
    "secret delete a",
    "secret rewrap",
    "secret key backup k --passphrase-file pass",
    "secret recover --reason x",
  ])
    expect([words, as(token, words, "x")]).toMatchObject([words, { exit: 4, stdout: "", stderr: expect.stringContaining("PERMISSION_DENIED") }]);
  expect(as(`${token.slice(0, -1)}x`, "secret list")).toMatchObject({ exit: 4, stdout: "" });
  const refused = as(undefined, "audit search --category secrets --action SecretRefused --json").stdout;
  expect(refused).toContain("revealSecret");
});
