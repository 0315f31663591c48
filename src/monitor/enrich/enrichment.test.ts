import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Actor, ExecEvent, ExitEvent, FileFacts, ForkEvent, OpenEvent, ProcessEvent } from "../event.ts";
import { Enrichment } from "./enrichment.ts";
import { HashCache } from "./hash-cache.ts";
import { ProcessTree } from "./process-tree.ts";

/** Events as a decoder makes them, of a job called `job`. */
function actor(pid: number, start: number, ppid = 0, parentStart = 0): Actor {
  const inside = { pid, tid: pid, ppid };
  return {
    key: `${pid}:${start}`,
    parent: `${ppid}:${parentStart}`,
    pid,
    tid: pid,
    ppid,
    inside,
    uid: 0,
    euid: 0,
    gid: 0,
    name: "x",
    pidns: 1,
    mntns: 2,
    cgroup: "1",
  };
}

function head(who: Actor, call: string, job = "job"): Pick<ProcessEvent, "time" | "ns" | "job" | "container" | "actor" | "call" | "result"> {
  return { time: 1000, ns: 0n, job, container: "box", actor: who, call, result: 0 };
}

function file(path: string, more: Partial<FileFacts> = {}): FileFacts {
  return {
    path,
    cut: false,
    id: `1:${path}`,
    type: "file",
    mode: 0o755,
    uid: 0,
    size: 1,
    mtime: 0,
    ctime: 0,
    unlinked: false,
    anonymous: false,
    fresh: false,
    ...more,
  };
}

function exec(who: Actor, program: FileFacts, args: readonly string[] = [], job = "job"): ExecEvent {
  const stdio = [{ to: "closed" }, { to: "closed" }, { to: "closed" }] as const;
  return {
    ...head(who, "exec", job),
    kind: "exec",
    program,
    asked: program.path,
    args,
    argsBytes: 0,
    argsCut: false,
    env: undefined,
    cwd: "/",
    stdio,
    gained: false,
    capabilities: 0n,
  };
}

function fork(who: Actor, child: Actor, job = "job"): ForkEvent {
  return { ...head(who, "fork", job), kind: "fork", child, namespaces: [] };
}

function exit(who: Actor, job = "job"): ExitEvent {
  return { ...head(who, "exit", job), kind: "exit", code: 0, signal: 0 };
}

function opened(who: Actor, what: FileFacts, access: OpenEvent["access"] = "write"): OpenEvent {
  return { ...head(who, "openat"), kind: "open", file: what, access, create: true, truncate: false, append: false, sensitive: false };
}

describe("the tree", () => {
  test("a line goes by who forked whom, whoever the parent is by now", () => {
    const tree = new ProcessTree();
    const [shell, middle, daemon] = [actor(1, 1), actor(2, 2, 1, 1), actor(3, 3, 2, 2)];
    tree.take(exec(shell, file("/bin/sh"), ["sh"]));
    tree.take(fork(shell, middle));
    tree.take(fork(middle, daemon));
    tree.take(exit(middle));
    const orphan = { ...daemon, ppid: 1, parent: "1:1" };
    const info = tree.take(exec(orphan, file("/bin/d"), ["d"]));
    expect(tree.lineage(info).map((one) => one.key)).toEqual(["3:3", "2:2", "1:1"]);
    expect(tree.get("2:2")).toMatchObject({ program: { path: "/bin/sh" }, args: ["sh"], ended: { code: 0 } });
  });

  test("a number that is used again is another process", () => {
    const tree = new ProcessTree();
    const [first, second] = [actor(7, 1), actor(7, 2)];
    tree.take(exec(first, file("/bin/a")));
    tree.take(exit(first));
    tree.take(exec(second, file("/bin/b")));
    expect([tree.get("7:1")?.program?.path, tree.get("7:2")?.program?.path]).toEqual(["/bin/a", "/bin/b"]);
    expect(tree.get("7:2")?.ended).toBeUndefined();
  });

  test("whatever happens, it stays within its size, and lines end", () => {
    const step = fc.record({
      kind: fc.constantFrom("fork", "exec", "exit"),
      who: fc.nat(30),
      child: fc.nat(30),
      args: fc.array(fc.string({ maxLength: 300 }), { maxLength: 5 }),
      job: fc.constantFrom("a", "b"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const tree = new ProcessTree({ size: 3000, args: 200 });
        for (const { kind, who, child, args, job } of steps) {
          const one = actor(who, 1);
          const event = kind === "fork" ? fork(one, actor(child, 1), job) : kind === "exec" ? exec(one, file("/bin/x"), args, job) : exit(one, job);
          const info = tree.take(event);
          expect(tree.get(one.key)).toBe(info);
          // One more than fits is the one that is needed now.
          expect(tree.count).toBeLessThanOrEqual(11);
          expect(tree.lineage(info).length).toBeLessThanOrEqual(64);
          expect(info.args.join("").length).toBeLessThanOrEqual(200);
        }
        tree.forget("a");
        expect(tree.of("a")).toEqual([]);
        tree.forget("b");
        expect(tree.count).toBe(0);
      }),
    );
  });
});

describe("where a file came from", () => {
  const hash = (): Promise<undefined> => Promise.resolve(undefined);

  test("the linker's output, by the file's identity, under another name too", () => {
    const enrichment = new Enrichment({ hash });
    const [gcc, ld] = [actor(1, 1), actor(2, 2, 1, 1)];
    enrichment.take(exec(gcc, file("/usr/bin/gcc"), ["gcc"]));
    enrichment.take(fork(gcc, ld));
    enrichment.take(exec(ld, file("/usr/bin/x86_64-linux-gnu-ld.bfd"), ["ld"]));
    expect(enrichment.take(opened(ld, file("/work/a.out", { id: "1:9", fresh: true }))).origin).toBeUndefined();
    const run = enrichment.take(exec(actor(3, 3), file("/work/renamed", { id: "1:9", fresh: true })));
    expect(run.origin).toMatchObject({ created: true, writer: { key: "2:2", tool: "linker" } });
    enrichment.forget("job");
    expect(enrichment.take(exec(actor(4, 4), file("/work/renamed", { id: "1:9" }))).origin).toBeUndefined();
  });

  test("a program that the job brought along is no tool, whatever its name is", () => {
    const enrichment = new Enrichment({ hash });
    for (const [program, tool] of [
      [file("/usr/bin/dpkg"), "dpkg"],
      [file("/tmp/dpkg", { fresh: true }), undefined],
      [file("/dpkg", { anonymous: true }), undefined],
      [file("/usr/bin/dpkg-evil"), undefined],
    ] as const) {
      const who = actor(1, Math.random());
      enrichment.take(exec(who, program));
      enrichment.take(opened(who, file("/x")));
      expect(enrichment.provenance.of("job", file("/x"))?.writer.tool).toBe(tool);
    }
  });

  test("npm by its script, also in a child of the same program; reading makes nobody a writer", () => {
    const enrichment = new Enrichment({ hash });
    const [npm, child] = [actor(1, 1), actor(2, 2, 1, 1)];
    enrichment.take(exec(npm, file("/usr/bin/node"), ["node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "ci"]));
    enrichment.take(fork(npm, child));
    enrichment.take(exec(child, file("/usr/bin/node"), ["node", "worker.js"]));
    enrichment.take(opened(child, file("/work/esbuild")));
    enrichment.take(opened(actor(9, 9), file("/work/esbuild"), "read"));
    expect(enrichment.provenance.of("job", file("/work/esbuild"))?.writer.tool).toBe("npm");
  });

  test("the oldest files are forgotten first", () => {
    const enrichment = new Enrichment({ hash });
    for (let i = 0; i <= 20_000; i++) enrichment.take(opened(actor(1, 1), file(`/f${i}`)));
    expect(enrichment.provenance.of("job", file("/f0"))).toBeUndefined();
    expect(enrichment.provenance.of("job", file("/f1"))).toBeDefined();
  });
});

describe("hashes", () => {
  test("one program is read once, and again when it changed; one that has just changed is not kept", async () => {
    let reads = 0;
    const cache = new HashCache(async () => `hash ${++reads}`);
    const run = (program: FileFacts): Promise<string | undefined> => cache.of(exec(actor(1, 1), program));
    const both = await Promise.all([run(file("/a")), run(file("/a"))]);
    expect(both).toEqual(["hash 1", "hash 1"]);
    expect(await run(file("/a"))).toBe("hash 1");
    expect(await run(file("/a", { size: 2 }))).toBe("hash 2");
    const young = file("/b", { ctime: 990 });
    expect([await run(young), await run(young)]).toEqual(["hash 3", "hash 4"]);
  });

  test("one that fails is unknown, and asked again", async () => {
    let fails = true;
    const cache = new HashCache(() => (fails ? Promise.reject(new Error("gone")) : Promise.resolve("hash")));
    expect(await cache.of(exec(actor(1, 1), file("/a")))).toBeUndefined();
    fails = false;
    expect(await cache.of(exec(actor(1, 1), file("/a")))).toBe("hash");
  });

  test("the tree has it at once when it is known, and never for a program that is not run any more", async () => {
    const answers = new Map<string, (hash: string) => void>();
    const enrichment = new Enrichment({ hash: ({ program }) => new Promise((resolve) => answers.set(program.path, resolve)) });
    const first = enrichment.take(exec(actor(1, 1), file("/a")));
    const second = enrichment.take(exec(actor(1, 1), file("/b")));
    answers.get("/a")?.("of a");
    expect(await first.sha256).toBe("of a");
    expect(first.process.sha256).toBeUndefined();
    answers.get("/b")?.("of b");
    await second.sha256;
    expect(second.process.sha256).toBe("of b");
    expect(enrichment.take(exec(actor(2, 2), file("/a"))).process.sha256).toBe("of a");
  });
});
