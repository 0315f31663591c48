/** `monitor watch` on a terminal: a tree that stays within it, the threats under it, and nothing of the job's that could move the cursor. */
import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { useJobWorld } from "../world/job-hooks.ts";
import type { JobWorld } from "../world/job-world.ts";
import { until } from "../world/script-world.ts";

let world: JobWorld;

useJobWorld(
  (started) => {
    world = started;
  },
  "sensor",
  "script",
);

const ROWS = 12;
const COLUMNS = 72;
const HOME_AND_CLEAR = "\u001b[H\u001b[2J";

interface Screen extends AsyncDisposable {
  /** Each as it stood before the next was drawn; the last may not be whole. */
  pictures(): readonly (readonly string[])[];
  type(keys: string): void;
  readonly ended: Promise<number | null>;
}

/** A terminal of that size, with the command line on it. */
function onTerminal(words: readonly string[]): Screen {
  const command = [process.execPath, join(world.root, "bin", "cofferdam.js"), ...words].map((word) => `'${word}'`).join(" ");
  const child = spawn("script", ["-qefc", `stty rows ${ROWS} cols ${COLUMNS}; exec ${command}`, "/dev/null"], {
    env: { ...world.env, TERM: "xterm" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  let said = "";
  child.stdout.on("data", (bytes: Buffer) => (said += bytes.toString()));
  return {
    pictures: () =>
      said
        .split(HOME_AND_CLEAR)
        .slice(1)
        .map((picture) => picture.split(/\r*\n/)),
    type: (keys) => child.stdin.write(keys),
    ended,
    async [Symbol.asyncDispose]() {
      // Its terminal goes, and what sits at it with it.
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** A job that is at work: a shell with a colour in its name whose children come and go, and programs enough for two screens. */
async function working(): Promise<{ readonly id: string; end(): Promise<void> } & AsyncDisposable> {
  const id = world.newId();
  const shell = `sh -c 'while :; do nc -h 2> /dev/null; sleep 0.3; done' "$(printf 'a\\033[31mb')" &`;
  const script = `${shell} for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 999 & done; echo up; wait`;
  const job = world.cli(world.words(id, { command: ["sh", "-c", script] }));
  const log = join(world.state, "job-logs", `${id}.log`);
  await until(() => existsSync(log) && statSync(log).size > 0);
  const end = async (): Promise<void> => {
    await world.cli(["job", "kill", id]);
    await job;
  };
  return { id, end, [Symbol.asyncDispose]: end };
}

test("a tree of a terminal's size, threats under it, and it ends with the job", async () => {
  await using job = await working();
  await using screen = onTerminal(["monitor", "watch", job.id]);
  const shows = (...lines: readonly RegExp[]): boolean =>
    screen
      .pictures()
      .slice(0, -1)
      .some((picture) => lines.every((line) => picture.some((one) => line.test(one))));
  // Who ran before the look began is there too, and below its shell what comes and goes.
  await until(() =>
    shows(
      /^ {4}\d+ uid 0 .*: sh -c while/,
      /^ {6}\d+ uid 0 \S*busybox: sleep 0\.3$/,
      /^ {4}\d+ uid 0 .*: sleep 999$/,
      /^\.\.\. and \d+ more$/,
      /^medium {3}network-tool: nc -h$/,
    ),
  );
  for (const picture of screen.pictures().slice(0, -1)) {
    // The last is the empty one that the cursor stands on.
    expect(picture.length).toBeLessThanOrEqual(ROWS);
    for (const line of picture) {
      expect(line.length).toBeLessThanOrEqual(COLUMNS);
      expect(line).not.toContain("\u001b");
    }
  }
  await job.end();
  expect(await screen.ended).toBe(0);
});

test("Ctrl-C ends the look, and not the job", async () => {
  await using job = await working();
  await using screen = onTerminal(["monitor", "watch", job.id]);
  await until(() => screen.pictures().length > 1);
  screen.type("\u0003");
  expect(await screen.ended).toBe(130);
  expect((await world.engine.containers.inspect(`cofferdam-${job.id}`)).State.Running).toBe(true);
  await job.end();
});
