/** The audit commands as an operator and a third party meet them: the built executable, two state directories, files between them. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CliResult, TestProject } from "../../../test/world/project.ts";
import { AuditLogger } from "../../audit/index.ts";

const project = new TestProject("http://127.0.0.1:9/", {});
afterAll(() => project[Symbol.dispose]());
const cli = (...args: string[]): Promise<CliResult> => project.cli(["audit", ...args]);
/** Somebody else's: no state directory at all. */
const elsewhere = (...args: string[]): Promise<CliResult> => project.cli(["audit", ...args, "--state", join(project.base, "nothing-here")]);
const file = (name: string): string => join(project.root, name);

async function fill(count: number): Promise<void> {
  await using audit = new AuditLogger({ storage: { directory: project.state } });
  await audit.initialize();
  for (let i = 0; i < count; i++) await audit.log({ category: "test", action: i % 2 === 0 ? "even" : "odd", result: "success", details: { i } });
}

beforeAll(async () => {
  await fill(10);
  const { stdout } = await cli("checkpoint", "--show-key");
  writeFileSync(file("log.key"), `# pinned\n${stdout}`);
});

test("the key is one line that verifiers pin", () => {
  expect(readFileSync(file("log.key"), "utf8")).toMatch(/^# pinned\ncofferdam\/log_[0-9a-z]{26}\+[0-9a-f]{8}\+\S{44}\n$/);
});

describe("verify", () => {
  test("without anything from outside it says how to anchor", async () => {
    const { exit, stdout, stderr } = await cli("verify");
    expect([exit, stdout]).toEqual([0, ""]);
    expect(stderr).toMatch(/^audit: 10 events verified; not anchored: no outside copy was given\n {2}head 10 sha256:[0-9a-f]{64}\n {2}to anchor: keep/);
  });

  test("anchored by a checkpoint kept elsewhere; a log put back to an older copy is then seen", async () => {
    mkdirSync(join(project.base, "elsewhere"));
    expect((await cli("checkpoint", "--output", join(project.base, "elsewhere", "checkpoint"))).exit).toBe(0);
    cpSync(project.state, `${project.state}.old`, { recursive: true });
    await fill(5);
    expect((await cli("checkpoint", "--output", join(project.base, "elsewhere", "later"))).exit).toBe(0);
    const args = ["verify", "--checkpoint", join(project.base, "elsewhere", "checkpoint"), "--key", file("log.key")];
    expect((await cli(...args)).stderr).toBe("audit: 15 events verified; anchored at 10\n");
    const document = JSON.parse((await cli(...args, "--json")).stdout);
    expect(document).toMatchObject({
      schema: "cofferdam/audit-verify/v1",
      verified: 15,
      failed: 0,
      errors: [],
      size: 15,
      root: expect.any(String),
      anchored: true,
      checkpoint: { size: 10 },
    });
    const rolledBack = await project.cli(["audit", "verify", "--state", `${project.state}.old`, "--checkpoint", join(project.base, "elsewhere", "later")]);
    expect([rolledBack.exit, rolledBack.stderr]).toEqual([
      6,
      expect.stringMatching(/BROKEN[\s\S]*size {6}event 15: the checkpoint from outside is of 15 events, the log has 10/),
    ]);
  });

  test("goes on where it stopped", async () => {
    expect((await cli("verify", "--resume", "state.json")).stderr).toContain("15 events verified");
    await fill(3);
    expect((await cli("verify", "--resume", "state.json")).stderr).toContain("3 events verified");
    writeFileSync(file("bad.json"), "{");
    expect(await cli("verify", "--resume", "bad.json")).toMatchObject({ exit: 2 });
  });

  test("a fault names place, kind and what still verifies; exit 6", async () => {
    const state = join(project.base, "tampered");
    cpSync(project.state, state, { recursive: true });
    const db = new DatabaseSync(join(state, "cofferdam.db"));
    db.exec(`UPDATE audit_events SET body = replace(body, '"i":6}', '"i":7}') WHERE seq = 7`);
    db.close();
    const { exit, stderr } = await project.cli(["audit", "verify", "--state", state]);
    expect(exit).toBe(6);
    expect(stderr).toBe("audit: BROKEN, 1 fault in 18 events; events 1 to 6 verify\ncontent   event 7: its text is not what was hashed\n");
  });
});

describe("what others verify, with the key and nothing else", () => {
  test("a bundle of all events, and one of some", async () => {
    for (const [name, filters, words] of [
      ["all.bundle", [], "all 18 events"],
      ["some.bundle", ["--action", "odd"], "8 of 18 events, each with its proof"],
    ] as const) {
      expect((await cli("export", ...filters, "--format", "bundle", "--output", name)).exit).toBe(0);
      const { exit, stderr } = await elsewhere("verify", "--bundle", name, "--key", "log.key");
      expect([exit, stderr]).toEqual([0, expect.stringMatching(new RegExp(`^audit: bundle of ${words} verified; signed by cofferdam/log_`))]);
      expect(stderr).toContain("not anchored");
      writeFileSync(file(`bad.${name}`), readFileSync(file(name), "utf8").replace('"i":7}', '"i":8}'));
      const bad = await elsewhere("verify", "--bundle", `bad.${name}`, "--key", "log.key");
      expect([bad.exit, bad.stderr]).toEqual([6, expect.stringContaining("BROKEN")]);
    }
    const anchored = await elsewhere(
      "verify",
      "--bundle",
      "all.bundle",
      "--key",
      "log.key",
      "--checkpoint",
      join(project.base, "elsewhere", "checkpoint"),
      "--json",
    );
    expect(JSON.parse(anchored.stdout)).toMatchObject({ schema: "cofferdam/audit-verify/v1", verified: 18, anchored: true });
    expect((await elsewhere("verify", "--bundle", "all.bundle")).stderr).toContain("which key?");
    expect((await elsewhere("verify", "--bundle", "no.bundle", "--key", "log.key")).exit).toBe(2);
  });

  test("the proof of one event", async () => {
    expect((await cli("prove", "3", "--output", "3.tlog-proof")).exit).toBe(0);
    const { exit, stderr } = await elsewhere("verify", "--proof", "3.tlog-proof", "--key", "log.key");
    expect([exit, stderr]).toEqual([0, expect.stringMatching(/^audit: event 3 of .* \(test\/even\) is in the log of 18; signed by cofferdam\//)]);
    writeFileSync(file("bad.tlog-proof"), readFileSync(file("3.tlog-proof"), "utf8").replace("index 2", "index 3"));
    expect((await elsewhere("verify", "--proof", "bad.tlog-proof", "--key", "log.key")).exit).toBe(6);
    expect((await cli("prove", "99")).exit).toBe(2);
    expect((await cli("prove")).stderr).toContain("which event?");
  });
});

describe("after a loss", () => {
  test("a lost head file is gone on from with a reason, once", async () => {
    rmSync(join(project.state, "checkpoints", "head"));
    expect((await cli("verify")).exit).toBe(6);
    expect((await cli("recover")).stderr).toContain("--reason");
    expect((await cli("recover", "--reason", "OPS-7")).stderr).toBe("audit: goes on; event 19 says what was found\n");
    expect((await cli("verify")).exit).toBe(0);
    expect(await cli("recover", "--reason", "OPS-7")).toMatchObject({ exit: 2, stderr: expect.stringContaining("nothing to recover") });
  });

  test("a rotated key vouches for the next; a lost one does not, and that is said", async () => {
    expect((await cli("checkpoint", "--rotate-key", "--output", "rotated")).exit).toBe(0);
    expect((await cli("verify", "--key", "log.key")).exit).toBe(0);
    rmSync(join(project.state, "keys"), { recursive: true });
    expect(await cli("checkpoint")).toMatchObject({ exit: 2, stderr: expect.stringContaining("recover --new-key") });
    expect((await cli("recover", "--new-key", "--reason", "host reinstalled")).exit).toBe(0);
    expect((await cli("checkpoint")).exit).toBe(0);
    expect((await cli("verify")).stderr).toContain("the log's key was lost and replaced");
    expect((await cli("verify", "--key", "log.key")).exit).toBe(6);
  });
});

describe("retention, holds and erasure", () => {
  test("nothing is old enough yet; a hold is placed, listed and released; what was sealed is erased", async () => {
    expect((await cli("prune", "--dry-run")).stderr).toBe("audit: 0 texts would go; 0 kept by a hold\n");
    const placed = JSON.parse((await cli("hold", "place", "--user", "alice", "--until", "2026-06-30", "--reason", "case 7", "--json")).stdout);
    expect(placed).toMatchObject({ schema: "cofferdam/audit-hold/v1", id: expect.stringMatching(/^hold_/) });
    expect((await cli("hold", "list")).stdout).toBe(`${placed.id}  {"userId":"alice","until":"2026-06-30T23:59:59.999Z"}  case 7\n`);
    expect((await cli("hold", "release", placed.id, "--reason", "closed")).exit).toBe(0);
    expect((await cli("hold", "release", placed.id, "--reason", "closed")).exit).toBe(2);
    expect((await cli("hold", "list")).stderr).toBe("no holds\n");
    expect((await cli("hold", "place")).stderr).toContain("--reason");
    expect((await cli("hold")).stderr).toContain("which?");
    {
      await using audit = new AuditLogger({ storage: { directory: project.state } });
      await audit.initialize();
      await audit.log({ category: "test", action: "signup", result: "success", personal: { subject: "alice", data: { email: "alice@example.com" } } });
    }
    expect((await cli("erase", "alice", "--reason", "request 12")).stderr).toMatch(/^audit: erased; event \d+ says so, without the name\n$/);
    expect((await cli("erase", "alice", "--reason", "request 12")).exit).toBe(2);
    expect((await cli("verify")).exit).toBe(0);
  });

  test("retention follows the policy", async () => {
    project.write("cofferdam.yaml", "version: 1\naudit: {retention: {categories: {test: 1d}}}\n");
    const report = JSON.parse((await cli("prune", "--dry-run", "--json")).stdout);
    // A repository may not shorten what is kept.
    expect(report).toMatchObject({ schema: "cofferdam/audit-prune/v1", pruned: 0, rules: { days: 365, categories: {} } });
    project.write("cofferdam.yaml", "version: 1\naudit: {retention: {default: 400d}}\n");
    expect(JSON.parse((await cli("prune", "--dry-run", "--json")).stdout)).toMatchObject({ rules: { days: 400 } });
  });
});

test("checkpoints go where the user's policy says; where a repository says, they do not", async () => {
  const [mine, theirs] = [join(project.base, "mine"), join(project.base, "theirs")];
  for (const folder of [mine, theirs, join(project.home, ".config", "cofferdam")]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(project.home, ".config", "cofferdam", "cofferdam.yaml"), `version: 1\naudit: {copy: ${mine}}\n`);
  project.write("cofferdam.yaml", `version: 1\naudit: {copy: ${theirs}}\n`);
  expect((await cli("checkpoint")).exit).toBe(0);
  expect([readdirSync(mine), readdirSync(theirs)]).toEqual([[expect.stringMatching(/^log_/)], []]);
  project.write("cofferdam.yaml", "version: 1\naudit: {cpoy: x}\n");
  expect(await cli("checkpoint")).toMatchObject({ exit: 2, stderr: expect.stringContaining('did you mean "copy"') });
  // Looking at the trail needs no policy.
  expect((await cli("search", "--limit", "1")).exit).toBe(0);
});
