/** What is remembered of a job's programs has an end in bytes too, and what is forgotten for it is counted. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ProcessEvent } from "../event.ts";
import type { ProgramFacts } from "./program.ts";
import { JobPrograms } from "./programs.ts";
import { Scenario, type Step } from "./scenario.ts";

const KIB = 1024;

function eventsOf(steps: readonly Step[]): ProcessEvent[] {
  const scenario = new Scenario("x");
  return steps.flatMap((step) => [...scenario.take(step)]);
}

function filesOf(events: readonly ProcessEvent[]): ReadonlySet<string> {
  return new Set(events.flatMap((event) => (event.kind === "open" && "id" in event.file ? [event.file.id] : [])));
}

/** Everything that can still be reached, each once. */
function naiveBytes(programs: JobPrograms, files: ReadonlySet<string>): number {
  const writers = [...files].flatMap((id) => programs.writerOf(id) ?? []);
  const reached = new Set<ProgramFacts>();
  for (const first of [...programs.known(), ...writers]) for (let one: ProgramFacts | undefined = first; one !== undefined; one = one.from) reached.add(one);
  const texts = new Map([...reached].map((one) => [one.args, [one.program?.path ?? "", one.asked, one.cwd, ...one.args]]));
  const ofTexts = [...texts.values()].flat().reduce((sum, text) => sum + 24 + Buffer.byteLength(text), 0);
  return 400 * reached.size + ofTexts + 120 * writers.length;
}

const names = fc.constantFrom("a", "b", "c", "d");
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ exec: fc.constantFrom("/bin/sh", "/bin/gcc"), by: names, as: names, args: fc.array(fc.string({ maxLength: 400 }), { maxLength: 4 }) }),
  fc.record({ exec: fc.constant("/bin/x"), replaces: names, as: names, args: fc.array(fc.string({ maxLength: 400 }), { maxLength: 4 }) }),
  fc.record({ open: fc.constantFrom("/1", "/2", "/3", "/4"), by: names, write: fc.constant(true) }),
  fc.record({ exit: fc.constant(0), by: names }),
);

test("property: it weighs what can be reached of it, and never more than its bound and whoever acts", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 2, max: 40 }), (steps, most) => {
      const started = ["a", "b", "c", "d"].map((as): Step => ({ exec: "/bin/sh", by: "job", as }));
      const programs = new JobPrograms({ bytes: most * KIB, depth: 4, files: 3 });
      const events = eventsOf([...started, ...steps]);
      const files = filesOf(events);
      for (const event of events) {
        programs.take(event);
        expect(programs.bytes).toBe(naiveBytes(programs, files));
        const own = 8 * (400 + 6 * (24 + 400 * 3));
        expect(programs.bytes).toBeLessThanOrEqual(most * KIB + own);
        if (event.kind === "exec") expect(programs.get(event.actor.key)).toMatchObject({ program: event.program, args: event.args });
      }
    }),
  );
});

test("first what ended, then who wrote files, then all but the names of what runs, the oldest first", () => {
  const padding = new Array<string>(4).fill("x".repeat(1000));
  const programs = new JobPrograms({ bytes: 64 * KIB });
  const take = (...steps: readonly Step[]): ProcessEvent[] => {
    const events = eventsOf(steps);
    for (const event of events) programs.take(event);
    return events;
  };
  const written = take({ exec: "/usr/bin/as", as: "as", args: ["as", ...padding] }, { open: "/out.o", write: true, by: "as" }, { exit: 0, by: "as" });
  const [file = ""] = filesOf(written);
  expect(programs.writerOf(file)?.args[0]).toBe("as");
  const scenario = new Scenario("y");
  const flood = (count: number): void => {
    for (let i = 0; i < count; i++)
      for (const event of scenario.take({ exec: "/bin/busybox", args: ["/bin/nc", String(i), ...padding], as: `p${i}`, by: "job" })) programs.take(event);
  };
  flood(10);
  expect(programs.forgotten).toEqual({ running: 0, finished: 0 });
  flood(7);
  expect(programs.writerOf(file)).toBeUndefined();
  expect(programs.forgotten.finished).toBeGreaterThan(0);
  flood(200);
  const { running } = programs.forgotten;
  expect(running).toBeGreaterThan(100);
  const left = [...programs.running];
  // Of busybox its name is what it was called as: still there.
  expect(left.filter(({ args }) => args.length === 1 && args[0] === "nc").length).toBeGreaterThan(10);
  expect(left.at(-1)?.args).toHaveLength(6);
  expect(programs.bytes).toBeLessThanOrEqual(64 * KIB);
});

test("what ran before has half of the room, and then its names", () => {
  const programs = new JobPrograms({ bytes: 64 * KIB });
  const numbers = { pid: 1, insidePid: 1, ppid: 0, program: undefined, asked: "", cwd: "/", uid: 0, since: 0, from: undefined };
  for (let i = 0; i < 100; i++) programs.ranBefore({ ...numbers, key: `${i}:1`, args: ["sh", "-c", "x".repeat(1000)] });
  expect(programs.get("0:10000000")?.args).toHaveLength(3);
  expect(programs.get("99:10000000")?.args).toEqual([""]);
  expect(programs.forgotten.running).toBeGreaterThan(50);
});

test("what ran before is among those that run, until it ends or runs something else", () => {
  const programs = new JobPrograms();
  const numbers = { insidePid: 1, ppid: 0, program: undefined, asked: "", cwd: "/", uid: 0, since: 0, from: undefined };
  for (const pid of [1, 2, 3]) programs.ranBefore({ ...numbers, pid, key: `${pid}:0`, args: [`old ${pid}`] });
  const shown = (): string[] => [...programs.running].map(({ args }) => args.join(" "));
  const [, exec, end] = eventsOf([{ exec: "/bin/new", args: ["new"] }, { exit: 0 }]);
  expect([exec?.kind, end?.kind]).toEqual(["exec", "exit"]);
  const by = (pid: number, event: ProcessEvent | undefined): void => {
    if (event !== undefined) programs.take({ ...event, actor: { ...event.actor, pid, key: `${pid}:5000` } });
  };
  expect(shown()).toEqual(["old 1", "old 2", "old 3"]);
  by(2, exec);
  expect(shown()).toEqual(["old 1", "old 3", "new"]);
  expect(programs.get("2:5000")?.from?.args).toEqual(["old 2"]);
  by(1, end);
  by(2, end);
  expect(shown()).toEqual(["old 3"]);
  // An event of it may still come.
  expect(programs.get("1:5000")?.args).toEqual(["old 1"]);
});
