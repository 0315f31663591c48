/** Starts the command line in this process: signals, broken pipes, exit code. */
import { CofferdamError, ERROR_TABLE } from "../../foundation/index.ts";
import { main } from "./main.ts";

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export async function start(): Promise<void> {
  const controller = new AbortController();
  let exitOnSignal: number | undefined;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      // The second one does not wait for anything to be put away; the next run repairs what is left.
      if (exitOnSignal !== undefined) process.exit(exitOnSignal);
      exitOnSignal = SIGNALS[name];
      controller.abort(new CofferdamError("CANCELLED", `interrupted by ${name}`, { hint: "run it again: what was verified is kept" }));
    });
  }
  // `cofferdam audit export | head`: nobody reads on, so the work ends, quietly. What was decided keeps its exit code.
  let unread = false;
  process.stdout.on("error", () => {
    unread = true;
    controller.abort(new CofferdamError("CANCELLED", "nobody reads standard output any more"));
  });
  process.stderr.on("error", () => undefined);
  const exit = await main({
    argv: process.argv.slice(2),
    env: process.env,
    cwd: process.cwd(),
    stdout: process.stdout,
    stderr: process.stderr,
    signal: controller.signal,
  });
  process.exitCode = exitOnSignal ?? (unread && exit === ERROR_TABLE.CANCELLED.exit ? 0 : exit);
}
