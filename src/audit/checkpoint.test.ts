/** Checkpoints as a log makes them: schedule, files, copies, witnesses, rotation, proofs. Real folders, git and servers on loopback. */
import { execFileSync } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TestWitness } from "../../test/world/witness.ts";
import { leafHash } from "./chain.ts";
import { checkpointText, openCheckpoint } from "./checkpoint.ts";
import { type AuditEventInput, AuditLogger, type AuditLoggerOptions, type VerifyReport } from "./index.ts";
import { formatVerifierKey, parseVerifierKey, signatureLine, verifierKey } from "./note.ts";
import { formatProof, verifyProof } from "./proof.ts";

let base: string;
let state: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "cofferdam-checkpoint-"));
  state = join(base, "state");
});
afterEach(() => rmSync(base, { recursive: true }));

const event = (more: Partial<AuditEventInput> = {}): AuditEventInput => ({ category: "c", action: "a", result: "success", ...more });
const RARELY = { events: 1_000_000, interval: 1e12 };

async function withLog<T>(work: (audit: AuditLogger) => Promise<T>, checkpoint: AuditLoggerOptions["checkpoint"] = RARELY): Promise<T> {
  await using audit = new AuditLogger({ storage: { directory: state }, checkpoint });
  await audit.initialize();
  return await work(audit);
}
const fill = (count: number, checkpoint: AuditLoggerOptions["checkpoint"] = RARELY): Promise<unknown> =>
  withLog((audit) => Promise.all(Array.from({ length: count }, (_, i) => audit.log(event({ details: { i } })))), checkpoint);
const latest = (): string => readFileSync(join(state, "checkpoints", "latest"), "utf8");
const rows = (): { size: number; note: string }[] => {
  const db = new DatabaseSync(join(state, "cofferdam.db"), { readOnly: true });
  const all = db.prepare("SELECT size, note FROM audit_checkpoints ORDER BY size").all();
  db.close();
  return all.map(({ size, note }) => ({ size: Number(size), note: String(note) }));
};

describe("making them", () => {
  test("signed with the key that verifiers pin, kept in the database and beside it", async () => {
    await fill(20);
    const [made, pinned] = await withLog(async (audit) => [await audit.checkpoint(), await audit.verifierKey()] as const);
    expect(openCheckpoint(latest(), [parseVerifierKey(pinned)])).toMatchObject({ size: 20, root: made.root, signed: [{}], cosigned: [] });
    expect(made.origin).toMatch(/^cofferdam\/log_[0-9a-z]{26}$/);
    expect(statSync(join(state, "checkpoints", "latest")).mode & 0o777).toBe(0o600);
    expect(await withLog((audit) => audit.verify({}))).toMatchObject({
      failed: 0,
      anchored: false,
      checkpoint: { size: 20, root: made.root.toString("base64") },
    });
  });

  test("after so many events, after so much time, at the end of a process, and not without new events", async () => {
    let now = 1_800_000_000_000;
    const clock = { now: () => now, monotonic: () => performance.now() };
    const run = async (count: number): Promise<void> => {
      await using audit = new AuditLogger({ storage: { directory: state }, clock, checkpoint: { events: 10, interval: 60_000 } });
      await audit.initialize();
      for (let i = 0; i < count; i++) await audit.log(event());
    };
    await run(1);
    await run(5);
    expect(rows().map(({ size }) => size)).toEqual([1]);
    await run(5);
    expect(rows().map(({ size }) => size)).toEqual([1, 11]);
    now += 60_000;
    await run(0);
    expect(rows()).toHaveLength(2);
    await run(1);
    expect(rows().map(({ size }) => size)).toEqual([1, 11, 12]);
    // A clock put back does not keep checkpoints from being made.
    now -= 3_600_000;
    await run(1);
    expect(rows().map(({ size }) => size)).toEqual([1, 11, 12, 13]);
  });

  test("an empty log has nothing to sign; the same size twice is the same checkpoint", async () => {
    await withLog(async (audit) => {
      await expect(audit.checkpoint()).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
      await audit.log(event());
      expect((await audit.checkpoint()).note).toBe((await audit.checkpoint()).note);
    });
  });

  test("a log that is not what it signed before signs nothing more", async () => {
    await fill(40);
    await withLog((audit) => audit.checkpoint());
    const db = new DatabaseSync(join(state, "cofferdam.db"));
    db.exec("UPDATE audit_nodes SET hash = zeroblob(32) WHERE level = 1 AND idx = 1");
    db.close();
    await fill(1);
    await withLog(async (audit) => {
      await expect(audit.checkpoint()).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
      expect(audit.checkpointProblem).toMatchObject({ code: "INTEGRITY_FAILURE" });
    });
    expect((await withLog((audit) => audit.verify({}))).errors).toMatchObject([{ kind: "tree", seq: 17 }]);
  });

  test("in memory too", async () => {
    await using audit = new AuditLogger();
    await audit.initialize();
    await audit.log(event());
    expect(openCheckpoint((await audit.checkpoint()).note, [parseVerifierKey(await audit.verifierKey())]).size).toBe(1);
  });
});

describe("against one from outside", () => {
  /** Another checkpoint, signed with the log's own key: what whoever has the state directory can make. */
  const forge = (checkpoint: { origin: string; size: number; root: Buffer }): string => {
    const text = checkpointText(checkpoint);
    return `${text}\n${signatureLine(text, checkpoint.origin, createPrivateKey(readFileSync(join(state, "keys", "audit.pem"))))}`;
  };

  test("anchored when it fits, also after more events; a fork, a cut and another log are told apart", async () => {
    await fill(30);
    const old = await withLog((audit) => audit.checkpoint());
    await fill(30);
    const verify = (note: string): Promise<VerifyReport> => withLog((audit) => audit.verify({ checkpoints: [note] }));
    expect(await verify(old.note)).toMatchObject({ failed: 0, anchored: true, checkpoint: { size: 30 }, sound: { from: 1, to: 60 } });
    expect(await verify(forge({ ...old, root: Buffer.alloc(32, 1) }))).toMatchObject({
      anchored: false,
      errors: [{ kind: "fork", seq: 30 }],
      sound: undefined,
    });
    expect(await verify(forge({ ...old, size: 61 }))).toMatchObject({ anchored: false, errors: [{ kind: "size", seq: 61 }] });
    await expect(verify(forge({ ...old, origin: "cofferdam/log_other" }))).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
    await expect(verify(old.note.replace("\n30\n", "\n31\n"))).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
    await expect(verify("x")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("a witness's key from outside anchors what it cosigned", async () => {
    await fill(4);
    const pinned = parseVerifierKey(await withLog((audit) => audit.verifierKey()));
    await using witness = new TestWitness("witness.example/w1", [pinned]);
    const witnesses = { ...RARELY, witnesses: [{ url: await witness.listen(), key: witness.key }] };
    await withLog((audit) => audit.checkpoint(), witnesses);
    await fill(1);
    await using other = new TestWitness("witness.example/w1", [pinned]);
    expect(await withLog((audit) => audit.verify({}))).toMatchObject({ failed: 0, anchored: false });
    expect(await withLog((audit) => audit.verify({ keys: [witness.key] }))).toMatchObject({ failed: 0, anchored: true, checkpoint: { size: 4 } });
    expect(await withLog((audit) => audit.verify({ keys: [other.key] }))).toMatchObject({ failed: 0, anchored: false });
  });

  test("goes on where an earlier verification stopped", async () => {
    await fill(600);
    const first = await withLog((audit) => audit.verify({}));
    await fill(200);
    await withLog((audit) => audit.checkpoint());
    const second = await withLog((audit) => audit.verify({ resume: JSON.parse(JSON.stringify(first.state)) }));
    expect(second).toMatchObject({ verified: 200, failed: 0, size: 800, root: (await withLog((audit) => audit.verify({}))).root, checkpoint: { size: 800 } });
    const db = new DatabaseSync(join(state, "cofferdam.db"));
    db.exec("UPDATE audit_events SET body = replace(body, '\"i\":5}', '\"i\":6}') WHERE seq = 606");
    db.close();
    const third = await withLog((audit) => audit.verify({ resume: first.state }));
    expect(third).toMatchObject({ failed: 1, errors: [{ kind: "content", seq: 606 }], sound: { from: 1, to: 605 } });
    await expect(withLog((audit) => audit.verify({ resume: { ...first.state, logId: "log_other" } }))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(withLog((audit) => audit.verify({ resume: {} }))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("ended early, it says how far it came", async () => {
    await fill(50);
    expect(await withLog((audit) => audit.verify({ signal: AbortSignal.abort() }))).toMatchObject({
      verified: 0,
      failed: 0,
      root: undefined,
      sound: undefined,
    });
  });
});

describe("copies", () => {
  test("a folder: the latest and one a size; one that is missing is not made, and is said", async () => {
    const copy = join(base, "mount");
    await fill(3, { ...RARELY, copies: [copy] });
    await withLog(
      async (audit) => {
        for (let i = 0; i < 3; i++) await expect(audit.checkpoint()).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
        expect(existsSync(copy)).toBe(false);
        mkdirSync(copy);
        const { origin, note } = await audit.checkpoint();
        const folder = join(copy, origin.slice("cofferdam/".length));
        expect(readdirSync(folder).sort()).toEqual(["4", "checkpoint"]);
        expect(readFileSync(join(folder, "checkpoint"), "utf8")).toBe(note);
        // Said once when it began to fail, and once when it was over.
        expect(await audit.search({ category: "audit" })).toMatchObject([
          { seq: 4, action: "checkpoint_failed", result: "failure", details: { code: "UPSTREAM_UNAVAILABLE" } },
          { seq: 5, action: "checkpoint_delivered" },
        ]);
      },
      { ...RARELY, copies: [copy] },
    );
  });

  test.each(["folder", "git", "https"] as const)("a %s that knows more than the log is left alone: the log was rolled back", async (kind) => {
    await using server = await putServer();
    const address = kind === "folder" ? join(base, "mount") : kind === "git" ? join(base, "copy.git") : server.address;
    if (kind === "folder") mkdirSync(address);
    if (kind === "git") execFileSync("git", ["init", "--quiet", "--bare", address]);
    const copies = { ...RARELY, copies: [address] };
    await fill(5);
    await withLog((audit) => audit.checkpoint(), copies);
    // The state directory as it was, kept by whoever wants to take events back.
    execFileSync("cp", ["-a", state, `${state}.old`]);
    await fill(5);
    await withLog((audit) => audit.checkpoint(), copies);
    rmSync(state, { recursive: true });
    renameSync(`${state}.old`, state);
    await fill(8);
    await expect(withLog((audit) => audit.checkpoint(), copies)).rejects.toMatchObject({
      code: "INTEGRITY_FAILURE",
      message: expect.stringContaining("does not continue"),
    });
    expect((await withLog((audit) => audit.verify({}))).failed).toBe(0);
  });

  test("a git repository: one commit a checkpoint on a branch of its own, and no hook of it runs here", async () => {
    const repository = join(base, "sec.git");
    execFileSync("git", ["init", "--quiet", "--bare", repository]);
    const copies = { ...RARELY, copies: [repository] };
    for (const count of [2, 3]) {
      await fill(count);
      await withLog((audit) => audit.checkpoint(), copies);
    }
    const git = (...args: string[]): string => execFileSync("git", ["--git-dir", repository, ...args], { encoding: "utf8" });
    expect(git("log", "--format=%s", "checkpoints")).toMatch(/^checkpoint 5 of log_\w+\ncheckpoint 2 of log_\w+\n$/);
    const names = git("ls-tree", "-r", "--name-only", "checkpoints").trim().split("\n");
    expect(names.map((name) => name.replace(/^log_\w+\//, ""))).toEqual(["2", "5", "checkpoint"]);
    expect(git("show", `checkpoints:${names[2] ?? ""}`)).toBe(latest());
  });

  test("credentials of an address are in no message", async () => {
    await fill(1);
    const copies = { ...RARELY, copies: ["http://somebody:s3cret@127.0.0.1:9/x", "http://somebody:s3cret@127.0.0.1:9/x.git"] };
    for (const address of copies.copies) {
      const failure: unknown = await withLog((audit) => audit.checkpoint(), { ...RARELY, copies: [address] }).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
      expect(JSON.stringify(failure) + String(failure)).not.toContain("s3cret");
    }
  });

  test("a place that is none", async () => {
    await using audit = new AuditLogger({ storage: { directory: state }, checkpoint: { copies: ["relative/folder"] } });
    await expect(audit.initialize()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("witnesses", () => {
  test("cosign, catch up, and refuse a log that was written again", async () => {
    await fill(4);
    const pinned = parseVerifierKey(await withLog((audit) => audit.verifierKey()));
    await using witness = new TestWitness("witness.example/w1", [pinned]);
    const witnesses = { ...RARELY, witnesses: [{ url: await witness.listen(), key: witness.key }] };
    await withLog((audit) => audit.checkpoint(), witnesses);
    expect(openCheckpoint(latest(), [pinned]).size).toBe(4);
    const keys = [pinned, parseVerifierKey(witness.key)];
    expect(openCheckpoint(rows()[0]?.note ?? "", keys).cosigned).toMatchObject([{ key: { name: "witness.example/w1" }, time: expect.any(Number) }]);
    await fill(40);
    // A process that knows nothing of what the witness saw: it is told, and proves from there.
    await withLog((audit) => audit.checkpoint(), witnesses);
    expect(witness.seen.get(pinned.name)?.size).toBe(44);
    witness.seen.set(pinned.name, { size: 40, root: Buffer.alloc(32, 3) });
    await fill(1);
    await expect(withLog((audit) => audit.checkpoint(), witnesses)).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
    witness.seen.set(pinned.name, { size: 400, root: Buffer.alloc(32, 3) });
    await fill(1);
    await expect(withLog((audit) => audit.checkpoint(), witnesses)).rejects.toMatchObject({
      code: "INTEGRITY_FAILURE",
      message: expect.stringContaining("larger log"),
    });
  });

  test.each([
    ["an error", 500, "", "UPSTREAM_UNAVAILABLE"],
    ["a redirect", 302, "", "UPSTREAM_UNAVAILABLE"],
    ["a signature of another key only", 200, "— other.example AAAAAAAAAAAA\n", "UPSTREAM_UNAVAILABLE"],
    ["nonsense", 200, "<html>\n", "INVALID_ARGUMENT"],
    ["an answer without end", 200, "x".repeat(100_000), "UPSTREAM_UNAVAILABLE"],
    ["a conflict without a size", 409, "no\n", "INTEGRITY_FAILURE"],
  ])("answers that are none: %s", async (_name, status, text, code) => {
    await fill(2);
    await using witness = new TestWitness("witness.example/w1", []);
    witness.answer = { status, text };
    const witnesses = { ...RARELY, witnesses: [{ url: await witness.listen(), key: witness.key }] };
    await expect(withLog((audit) => audit.checkpoint(), witnesses)).rejects.toMatchObject({ code });
    // The checkpoint itself stands.
    expect(rows().map(({ size }) => size)).toContain(2);
  });

  test("a wrong signature of the witness's key", async () => {
    await fill(2);
    await using other = new TestWitness("witness.example/w1", [parseVerifierKey(await withLog((audit) => audit.verifierKey()))]);
    await using witness = new TestWitness("witness.example/w1", []);
    const line = `— witness.example/w1 ${Buffer.concat([Buffer.from(witness.key.split("+")[1] ?? "", "hex"), Buffer.alloc(72)]).toString("base64")}\n`;
    other.answer = { status: 200, text: line };
    await expect(withLog((audit) => audit.checkpoint(), { ...RARELY, witnesses: [{ url: await other.listen(), key: witness.key }] })).rejects.toMatchObject({
      code: "INTEGRITY_FAILURE",
    });
  });
});

describe("keys", () => {
  test("rotation: the old key vouches, both sign for a while, then only the new one; who pinned the old key still verifies", async () => {
    await fill(3);
    const first = await withLog((audit) => audit.verifierKey());
    await withLog((audit) => audit.rotateKey(10));
    const second = await withLog((audit) => audit.verifierKey());
    expect(second).not.toBe(first);
    await withLog((audit) => audit.checkpoint());
    expect(openCheckpoint(latest(), [first, second].map(parseVerifierKey)).signed).toHaveLength(2);
    await fill(20);
    const made = await withLog((audit) => audit.checkpoint());
    expect(openCheckpoint(latest(), [parseVerifierKey(second)]).signed).toHaveLength(1);
    expect(() => openCheckpoint(latest(), [parseVerifierKey(first)])).toThrow(expect.objectContaining({ code: "INTEGRITY_FAILURE" }));
    expect(await withLog((audit) => audit.verify({ keys: [first] }))).toMatchObject({
      failed: 0,
      keyReplaced: false,
      checkpoint: { size: 24 },
    });
    // Who pinned the new one knows nothing of the old: the last checkpoint is signed by it, and covers all that is before.
    expect(await withLog((audit) => audit.verify({ keys: [second] }))).toMatchObject({ failed: 0, checkpoint: { size: 24 } });
    const stranger = formatVerifierKey(verifierKey(made.origin, 1, Buffer.alloc(32, 5)));
    expect(await withLog((audit) => audit.verify({ keys: [stranger] }))).toMatchObject({
      errors: [{ kind: "signature", seq: 24 }],
      checkpoint: undefined,
    });
  });

  test("interrupted between event and files: the next one who signs ends it", async () => {
    await fill(1);
    const first = readFileSync(join(state, "keys", "audit.pem"));
    await withLog((audit) => audit.rotateKey());
    const second = readFileSync(join(state, "keys", "audit.pem"));
    writeFileSync(join(state, "keys", "audit.next.pem"), second, { mode: 0o600 });
    writeFileSync(join(state, "keys", "audit.pem"), first);
    rmSync(join(state, "keys", "audit.old.pem"));
    await withLog((audit) => audit.checkpoint());
    expect(readFileSync(join(state, "keys", "audit.pem")).equals(second)).toBe(true);
    expect(readdirSync(join(state, "keys")).sort()).toEqual(["audit.old.pem", "audit.pem"]);
  });

  test("a lost key: events are recorded, checkpoints are not, and nothing makes another key in silence", async () => {
    await fill(1);
    rmSync(join(state, "keys"), { recursive: true });
    await fill(2);
    await withLog(async (audit) => {
      await expect(audit.checkpoint()).rejects.toMatchObject({ code: "FAILED_PRECONDITION", hint: expect.stringContaining("restore") });
      expect(audit.checkpointProblem).toMatchObject({ code: "FAILED_PRECONDITION" });
    });
    expect(existsSync(join(state, "keys", "audit.pem"))).toBe(false);
  });
});

describe("proofs", () => {
  test("every event of a log proves, with nothing but the pinned key", async () => {
    await fill(70);
    await withLog(async (audit) => {
      const keys = [parseVerifierKey(await audit.verifierKey())];
      for (const { seq, id } of await audit.search({ limit: 100 })) {
        const text = formatProof(await audit.prove(seq % 2 === 0 ? seq : id));
        expect(verifyProof(text, keys)).toMatchObject({ event: { seq, id }, checkpoint: { size: 70 } });
        expect(text).toMatch(/^c2sp\.org\/tlog-proof@v1\nextra \S+\nindex \d+\n/);
      }
      await expect(audit.prove(71)).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(audit.prove("evt_none")).rejects.toMatchObject({ code: "NOT_FOUND" });
      await audit.log(event());
      expect((await audit.prove(71)).checkpoint.size).toBe(71);
    });
  });

  test("of an event that says it is elsewhere, in a log that signed it all the same: refused", async () => {
    await fill(1);
    const { body = "", checkpoint } = await withLog((audit) => audit.prove(1));
    const moved = body.replace('"seq":1', '"seq":7');
    const text = checkpointText({ ...checkpoint, root: leafHash(moved) });
    const note = `${text}\n${signatureLine(text, checkpoint.origin, createPrivateKey(readFileSync(join(state, "keys", "audit.pem"))))}`;
    const key = parseVerifierKey(await withLog((audit) => audit.verifierKey()));
    const proof = `c2sp.org/tlog-proof@v1\nextra ${Buffer.from(moved).toString("base64")}\nindex 0\n\n${note}`;
    expect(() => verifyProof(proof, [key])).toThrow(expect.objectContaining({ code: "INTEGRITY_FAILURE", message: expect.stringContaining("another place") }));
  });

  test("of another event, place, log or key: refused", async () => {
    await fill(9);
    await withLog(async (audit) => {
      const key = parseVerifierKey(await audit.verifierKey());
      const text = formatProof(await audit.prove(4));
      const other = formatProof(await audit.prove(5));
      const swap = (pattern: RegExp): string => text.replace(pattern, pattern.exec(other)?.[0] ?? "");
      const broken = expect.objectContaining({ code: "INTEGRITY_FAILURE" });
      const refused = expect.objectContaining({ code: "INVALID_ARGUMENT" });
      expect(() => verifyProof(swap(/extra .*\n/), [key])).toThrow(broken);
      expect(() => verifyProof(swap(/index .*\n/), [key])).toThrow(broken);
      expect(() => verifyProof(swap(/index[^—]*\n\n/), [key])).toThrow(broken);
      expect(() => verifyProof(text.replace("success", "failure"), [])).toThrow(broken);
      expect(() => verifyProof(text.replace(/extra .*\n/, ""), [key])).toThrow(refused);
      expect(() => verifyProof(text.replace("@v1", "@v2"), [key])).toThrow(refused);
      expect(() => verifyProof(text.slice(0, 100), [key])).toThrow(refused);
      expect(() => verifyProof("x".repeat(1_000_000), [key])).toThrow(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
    });
  });
});

/** A server that keeps what is PUT. */
async function putServer(): Promise<{ readonly address: string; [Symbol.asyncDispose](): Promise<void> }> {
  const files = new Map<string, string>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const path = request.url ?? "";
      if (request.method === "PUT") files.set(path, Buffer.concat(chunks).toString());
      const text = files.get(path);
      response.writeHead(text === undefined ? 404 : 200).end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    address: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/copies`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
