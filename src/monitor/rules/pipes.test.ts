import fc from "fast-check";
import { expect, test } from "vitest";
import type { ProcessEvent } from "../event.ts";
import { Pipes } from "./pipes.ts";
import { takesCommands } from "./program.ts";
import { Scenario, type Step } from "./scenario.ts";

/** The first exec of a step, by a process of this number. */
function exec(n: number, step: Step): ProcessEvent {
  const [event] = [...new Scenario("x").take({ replaces: "job", ...step })];
  if (event === undefined) throw new Error("no event");
  return { ...event, actor: { ...event.actor, key: `p${n}`, parent: `p${Math.floor(n / 2)}` } };
}

const name = fc.constantFrom("pipe:a", "pipe:b", "pipe:c", "file" as const);

test("property: in whatever order they began, the two ends of a pipe are those that have it", () => {
  const process = fc.record({ stdin: name, stdout: name });
  fc.assert(
    fc.property(fc.array(process, { maxLength: 7 }), fc.array(fc.nat(6), { maxLength: 14 }), (all, order) => {
      const pipes = new Pipes();
      const begun = [...new Set(order)].filter((n) => n < all.length);
      for (const n of begun) pipes.take(exec(n, { exec: "/bin/x", ...all[n] }));
      const isPipe = (to: string | undefined): boolean => to?.startsWith("pipe:") === true;
      for (const n of begun) {
        const [own, ends] = [all[n], begun.filter((other) => other !== n)];
        const feeders = ends.filter((other) => isPipe(own?.stdin) && all[other]?.stdout === own?.stdin).map((other) => `p${other}`);
        expect(pipes.feeders(`p${n}`).toSorted()).toEqual(feeders.toSorted());
        const parent = Math.floor(n / 2);
        const isMade = isPipe(own?.stdin) && feeders.length === 0 && !(begun.includes(parent) && all[parent]?.stdin === own?.stdin);
        expect(pipes.maker(`p${n}`)).toBe(isMade ? `p${parent}` : undefined);
      }
    }),
  );
});

test("a flood of pipes and processes is forgotten, the last ones are known", () => {
  const pipes = new Pipes();
  for (let n = 0; n < 20_000; n++) pipes.take(exec(n, { exec: "/bin/x", stdin: `pipe:${n}`, stdout: `pipe:${n + 1}` }));
  expect(pipes.feeders("p19999")).toEqual(["p19998"]);
  expect(pipes.feeders("p10")).toEqual([]);
  for (let n = 0; n < 100; n++) pipes.take(exec(30_000 + n, { exec: "/bin/x", stdin: "file", stdout: "pipe:20000" }));
  pipes.take(exec(40_000, { exec: "/bin/x", stdin: "pipe:20000" }));
  expect(pipes.feeders("p40000")).toHaveLength(32);
});

test("who still holds a pipe is not pushed out by those that came and went", () => {
  const pipes = new Pipes();
  pipes.take(exec(1, { exec: "/bin/nc", stdin: "file", stdout: "pipe:a" }));
  for (let n = 2; n < 200; n++) {
    const event = exec(n, { exec: "/bin/true", stdin: "file", stdout: "pipe:a" });
    pipes.take(event);
    for (const end of new Scenario("x").take({ exit: 0 })) pipes.take({ ...end, actor: event.actor });
  }
  pipes.take(exec(1000, { exec: "/bin/sh", stdin: "pipe:a" }));
  expect(pipes.feeders("p1000")).toContain("p1");
});

test.each([
  [true, ["sh"]],
  [true, ["-bash"]],
  [true, ["bash", "-i"]],
  [true, ["bash", "-s", "--", "-y"]],
  [true, ["bash", "-eo", "pipefail"]],
  [true, ["bash", "--norc", "-"]],
  [true, ["sh", "-x", "+e"]],
  [true, ["busybox", "sh"]],
  [false, ["sh", "-c", "id"]],
  [false, ["bash", "-lc", "id"]],
  [false, ["sh", "build.sh"]],
  [false, ["bash", "--rcfile", "f", "x.sh"]],
  [false, ["bash", "-o", "pipefail", "x.sh"]],
  [false, ["sh", "--", "x.sh"]],
] as const)("takes commands: %s, %j", (is, args) => {
  const busybox = { program: undefined, args };
  const [event] = [...new Scenario("x").take({ exec: "/bin/busybox", args: [...args], replaces: "job" })];
  expect(takesCommands(event?.kind === "exec" ? { program: event.program, args } : busybox)).toBe(is);
});
