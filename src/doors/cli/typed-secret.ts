/**
 * Secrets that a user gives: from a terminal, without echo, or from standard input, one a line. Never from the arguments: every
 * process of the machine can read those.
 */
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { CofferdamError } from "../../foundation/index.ts";
import type { CommandContext } from "./command.ts";

/** Most bytes of everything that comes from standard input. */
const MAX_BYTES = 16_384;

export class TypedSecrets {
  readonly #context: Pick<CommandContext, "signal" | "values">;
  #lines: string[] | undefined;

  constructor(context: Pick<CommandContext, "signal" | "values">) {
    this.#context = context;
  }

  /** The next one. @param what as the user knows it: "password of ada". Throws INVALID_ARGUMENT when there is none. */
  async next(what: string): Promise<string> {
    const given = await this.nextIfAny(what);
    if (given === undefined || given === "")
      throw new CofferdamError("INVALID_ARGUMENT", `no ${what}: it is read from standard input, a line for each`, {
        hint: "printf '%s\\n' \"$SECRET\" | cofferdam ...",
      });
    return given;
  }

  /** The next one, or undefined for an empty answer and at the end of standard input. */
  async nextIfAny(what: string): Promise<string | undefined> {
    if (process.stdin.isTTY) {
      if (this.#context.values["no-input"] === true)
        throw new CofferdamError("INVALID_ARGUMENT", `no ${what}: nothing is asked for with --no-input`, { hint: "give it on standard input" });
      const typed = await ask(`${what}: `, this.#context.signal);
      return typed === "" ? undefined : typed;
    }
    this.#lines ??= await readLines(this.#context.signal);
    return this.#lines.shift();
  }

  /** One that is made up now: on a terminal it is asked for twice. */
  async nextNew(what: string): Promise<string> {
    const typed = await this.next(what);
    if (process.stdin.isTTY && (await this.next(`${what}, again`)) !== typed) throw new CofferdamError("INVALID_ARGUMENT", "those were two different ones");
    return typed;
  }
}

/** The line editor of a terminal, writing nowhere: nothing of the answer is seen. */
async function ask(prompt: string, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const editor = createInterface({ input: process.stdin, output: nowhere, terminal: true, historySize: 0 });
  // Not before: until the editor has the terminal, it shows what is typed.
  process.stderr.write(prompt);
  try {
    return await new Promise<string>((resolve, reject) => {
      const interrupted = (): void => reject(new CofferdamError("CANCELLED", "interrupted"));
      editor.once("line", resolve).once("SIGINT", interrupted).once("close", interrupted);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  } finally {
    editor.close();
    process.stderr.write("\n");
  }
}

async function readLines(signal: AbortSignal): Promise<string[]> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin.iterator({ destroyOnReturn: true })) {
    signal.throwIfAborted();
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > MAX_BYTES) throw new CofferdamError("PAYLOAD_TOO_LARGE", `standard input has more than ${MAX_BYTES} bytes`);
    chunks.push(bytes);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}
