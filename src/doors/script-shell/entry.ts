/** Starts the script shell in this process: signals, broken pipes, exit code. */
import { CofferdamError } from "../../foundation/index.ts";
import { scriptShell } from "./shell.ts";

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
/** A terminal sends Ctrl-C to npm and to us, and npm hands it on: twice within this time is once, ms. */
const SAME_KEYSTROKE = 500;
const SIGPIPE_EXIT = 141;

export async function start(env: NodeJS.ProcessEnv): Promise<void> {
  const controller = new AbortController();
  let interrupted: { readonly exit: number; readonly at: number } | undefined;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      // The second one does not wait: the jail ends with us.
      if (interrupted !== undefined && performance.now() - interrupted.at > SAME_KEYSTROKE) process.exit(interrupted.exit);
      interrupted ??= { exit: SIGNALS[name], at: performance.now() };
      controller.abort(new CofferdamError("CANCELLED", `interrupted by ${name}`));
    });
  }
  let unread = false;
  process.stdout.on("error", () => {
    unread = true;
    controller.abort(new CofferdamError("CANCELLED", "nobody reads standard output any more"));
  });
  process.stderr.on("error", () => undefined);
  const { argv, stdout, stderr } = process;
  const exit = await scriptShell({ argv: argv.slice(2), env, cwd: process.cwd(), stdout, stderr, signal: controller.signal });
  process.exitCode = interrupted?.exit ?? (unread ? SIGPIPE_EXIT : exit);
}
