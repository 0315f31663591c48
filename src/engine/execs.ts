/** Calls on execs: further processes in a container that runs. */
import { execSchema, identitySchema } from "./answer-schemas.ts";
import type { ExecInspect } from "./answers.ts";
import { attachment } from "./attachment.ts";
import type { ExecCreate } from "./bodies.ts";
import { execCreateSchema, valuesOf, writeBody } from "./body-schemas.ts";
import { type Caller, DEFAULT_TIMEOUT_MS } from "./caller.ts";
import { sizeQuery } from "./containers.ts";
import { objectPath } from "./names.ts";
import type { Attachment, CallOptions, ExecCalls, TerminalSize } from "./types.ts";

export class Execs implements ExecCalls {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  async create(containerId: string, body: ExecCreate, options?: CallOptions): Promise<string> {
    const json = writeBody(execCreateSchema, body, "exec to create");
    const path = `/containers/${objectPath("container", containerId)}/exec`;
    const call = {
      what: `create an exec in container ${containerId}`,
      method: "POST",
      path,
      json,
      secrets: valuesOf(body.Env),
      options,
      timeoutMs: DEFAULT_TIMEOUT_MS,
    } as const;
    return (await this.#caller.json(call, identitySchema)).Id;
  }

  async start(execId: string, options: CallOptions & { readonly tty: boolean }): Promise<Attachment> {
    const { tty } = options;
    const what = "start an exec";
    const json = Buffer.from(JSON.stringify({ Detach: false, Tty: tty }));
    const socket = await this.#caller.upgrade({
      what,
      method: "POST",
      path: `/exec/${objectPath("exec", execId)}/start`,
      json,
      options,
      timeoutMs: DEFAULT_TIMEOUT_MS,
    });
    return attachment(socket, this.#caller.where, { tty, what });
  }

  async startDetached(execId: string, options?: CallOptions): Promise<void> {
    const json = Buffer.from(JSON.stringify({ Detach: true }));
    await this.#caller.status({
      what: "start an exec",
      method: "POST",
      path: `/exec/${objectPath("exec", execId)}/start`,
      json,
      options,
      timeoutMs: DEFAULT_TIMEOUT_MS,
    });
  }

  async inspect(execId: string, options?: CallOptions): Promise<ExecInspect> {
    return await this.#caller.json(
      { what: "inspect an exec", method: "GET", path: `/exec/${objectPath("exec", execId)}/json`, options, timeoutMs: DEFAULT_TIMEOUT_MS },
      execSchema,
    );
  }

  async resize(execId: string, size: TerminalSize, options?: CallOptions): Promise<void> {
    const path = `/exec/${objectPath("exec", execId)}/resize`;
    await this.#caller.status({ what: "resize the terminal of an exec", method: "POST", path, query: sizeQuery(size), options, timeoutMs: DEFAULT_TIMEOUT_MS });
  }
}
