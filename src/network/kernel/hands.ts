/**
 * cofferdam-net from here: one child a manager, which makes networks, and hands their sockets over. Its channel is the one
 * of child_process, on which Node takes sockets. When it is gone, so are the networks that it held; {@link Hands.gone} says so.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Socket as UdpSocket } from "node:dgram";
import { EventEmitter } from "node:events";
import { accessSync, constants } from "node:fs";
import { Server } from "node:net";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { z } from "zod";
import { BoundedText, CofferdamError, packageFolder } from "../../foundation/index.ts";
import type { Endpoint } from "../contract.ts";

export interface ToldFlow {
  readonly flow: number;
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly data: Buffer;
  /** Datagrams of this network that were dropped without being told, so far. */
  readonly untold: number;
}

export interface OpenedSockets {
  readonly tcp: readonly Server[];
  readonly dns: readonly UdpSocket[];
  /** Number of the namespace's descriptor in the child. */
  readonly space: number;
}

interface HandsEvents {
  /** Once: it ended, on purpose or not. */
  gone: [CofferdamError];
}

const answerSchema = z.union([
  z.strictObject({ answer: z.int(), error: z.string() }),
  z.strictObject({ answer: z.int(), space: z.int() }),
  z.strictObject({ answer: z.int(), inode: z.int() }),
  z.strictObject({ answer: z.int() }),
]);
type Answer = z.infer<typeof answerSchema>;
const end = z.tuple([z.string().max(64), z.int().min(0).max(65_535)]);
const flowSchema = z.strictObject({ network: z.int(), flow: z.int(), from: end, to: end, untold: z.int(), data: z.string() });
const handleSchema = z.strictObject({ network: z.int(), role: z.enum(["tcp4", "tcp6", "dns4", "dns6", "flow"]), flow: z.int().optional() });
const readySchema = z.strictObject({ ready: z.literal(true) });

const START_MS = 10_000;
const ANSWER_MS = 30_000;

/** Path of the program. Throws ENVIRONMENT_UNFIT when it was not built for this machine. */
export function locateHands(): string {
  const path = join(packageFolder(), "dist", "native", `cofferdam-net-${process.arch}`);
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    throw new CofferdamError("ENVIRONMENT_UNFIT", `cofferdam-net is missing for ${process.arch}`, {
      hint: "in a checkout: ./dev setup builds it (it needs a C compiler)",
    });
  }
}

export class Hands {
  readonly events: EventEmitter<HandsEvents> = new EventEmitter();
  readonly #child: ChildProcess;
  readonly #input: Writable;
  readonly #errors = new BoundedText(2000);
  readonly #waiting = new Map<number, (answer: Answer | CofferdamError) => void>();
  readonly #tcp = new Map<number, Server[]>();
  readonly #dns = new Map<number, UdpSocket[]>();
  readonly #flows = new Map<string, UdpSocket>();
  readonly #flowListeners = new Map<number, (flow: ToldFlow) => void>();
  readonly #exited: Promise<void>;
  #sequence = 0;
  #failure: CofferdamError | undefined;
  #ready: () => void = () => undefined;

  private constructor(child: ChildProcess, input: Writable, errors: Readable) {
    this.#child = child;
    this.#input = input;
    errors.on("data", (chunk: Buffer) => this.#errors.add(chunk.toString()));
    input.on("error", () => undefined);
    this.#exited = new Promise((resolve) => {
      child.once("error", (error) => {
        this.#fail(new CofferdamError("ENVIRONMENT_UNFIT", `cofferdam-net did not start: ${error.message}`, { cause: error }));
        resolve();
      });
      // Not its close: that waits for a channel which may be shut already.
      child.once("exit", () => {
        const said = this.#errors.text().trim();
        this.#fail(new CofferdamError("UPSTREAM_UNAVAILABLE", `cofferdam-net ended${said === "" ? "" : `: ${said.slice(0, 300)}`}`));
        resolve();
      });
    });
    child.on("message", (message: unknown, handle: unknown) => this.#heard(message, handle));
  }

  /** Throws ENVIRONMENT_UNFIT when it is not there, or does not start. */
  static async start(path: string = locateHands()): Promise<Hands> {
    if (process.geteuid?.() !== 0) throw new CofferdamError("ENVIRONMENT_UNFIT", "only root may make networks");
    const child = spawn(path, [], { stdio: ["pipe", "ignore", "pipe", "ipc"], env: {}, cwd: "/" });
    const { stdin, stderr } = child;
    if (stdin === null || stderr === null) throw new CofferdamError("INTERNAL", "cofferdam-net: no pipes");
    const hands = new Hands(child, stdin, stderr);
    await hands.#started();
    return hands;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Whether it still does what it is asked; else all of its networks are gone. */
  get lives(): boolean {
    return this.#failure === undefined;
  }

  /** Path of a network's namespace, for programs that enter it. */
  spacePath(space: number): string {
    return `/proc/${this.pid}/fd/${space}`;
  }

  /** Throws ENVIRONMENT_UNFIT, with what the kernel said. */
  async open(id: number, v4: string, v6: string | undefined, ruleset: string): Promise<OpenedSockets> {
    const rules = Buffer.from(ruleset);
    const answer = await this.#ask(`open ${id} ${v4} ${v6 ?? "-"} ${rules.length}`, rules).catch((error: unknown) => {
      // Some may have come before it failed.
      for (const socket of this.#taken(id).flat()) socket.close();
      throw error;
    });
    const [tcp, dns] = this.#taken(id);
    if (!("space" in answer) || tcp.length !== (v6 === undefined ? 1 : 2) || dns.length !== tcp.length)
      throw new CofferdamError("INTERNAL", "cofferdam-net: a network without its sockets");
    return { tcp, dns, space: answer.space };
  }

  #taken(id: number): readonly [Server[], UdpSocket[]] {
    const sockets = [this.#tcp.get(id) ?? [], this.#dns.get(id) ?? []] as const;
    this.#tcp.delete(id);
    this.#dns.delete(id);
    return sockets;
  }

  /** @returns the number of the container's namespace. Throws FAILED_PRECONDITION. */
  async attach(id: number, port: number, pid: number, started: string): Promise<number> {
    const answer = await this.#ask(`attach ${id} ${port} ${pid} ${started}`);
    if (!("inode" in answer)) throw new CofferdamError("INTERNAL", "cofferdam-net: not an answer to attach");
    return answer.inode;
  }

  /** Takes away the link of a port, or of all of them. */
  async cut(id: number, port: number | "all"): Promise<void> {
    await this.#ask(`cut ${id} ${port === "all" ? 0 : port}`);
  }

  async accept(id: number, flow: number): Promise<UdpSocket> {
    await this.#ask(`accept ${id} ${flow}`);
    const socket = this.#flows.get(`${id} ${flow}`);
    this.#flows.delete(`${id} ${flow}`);
    if (socket === undefined) throw new CofferdamError("INTERNAL", "cofferdam-net: a flow without its socket");
    return socket;
  }

  /** What is told of a network's flows; one listener a network. Undefined: they are refused. */
  onFlow(id: number, listener: ((flow: ToldFlow) => void) | undefined): void {
    if (listener === undefined) this.#flowListeners.delete(id);
    else this.#flowListeners.set(id, listener);
  }

  refuse(id: number, flow: number): void {
    if (this.#failure === undefined) this.#input.write(`0 refuse ${id} ${flow}\n`);
  }

  async close(id: number): Promise<void> {
    await this.#ask(`close ${id}`);
  }

  /** Ends it, and with it every network. Idempotent. */
  async end(): Promise<void> {
    this.#input.end();
    if (this.#child.connected) this.#child.disconnect();
    const late = setTimeout(() => this.#child.kill("SIGKILL"), 2000);
    await this.#exited;
    clearTimeout(late);
  }

  async #started(): Promise<void> {
    const late = setTimeout(() => this.#child.kill("SIGKILL"), START_MS);
    await new Promise<void>((resolve) => {
      this.#ready = resolve;
    });
    clearTimeout(late);
    if (this.#failure !== undefined) throw new CofferdamError("ENVIRONMENT_UNFIT", this.#failure.message, { cause: this.#failure });
  }

  async #ask(words: string, bytes?: Buffer): Promise<Answer> {
    if (this.#failure !== undefined) throw this.#failure;
    const sequence = ++this.#sequence;
    const answer = await new Promise<Answer | CofferdamError>((resolve) => {
      const late = setTimeout(() => {
        // It does one thing after the other: what comes now would answer something else.
        this.#child.kill("SIGKILL");
        resolve(new CofferdamError("DEADLINE_EXCEEDED", `cofferdam-net did not answer within ${ANSWER_MS / 1000} s`));
      }, ANSWER_MS);
      this.#waiting.set(sequence, (found) => {
        clearTimeout(late);
        this.#waiting.delete(sequence);
        resolve(found);
      });
      this.#input.write(`${sequence} ${words}\n`);
      if (bytes !== undefined) this.#input.write(bytes);
    });
    if (answer instanceof CofferdamError) throw answer;
    if ("error" in answer)
      throw new CofferdamError("FAILED_PRECONDITION", `${words.split(" ")[0]}: ${answer.error}`, {
        details: { step: words.split(" ")[0] ?? "", error: answer.error },
      });
    return answer;
  }

  #heard(message: unknown, handle: unknown): void {
    const kept = handle === undefined ? undefined : handleSchema.safeParse(message).data;
    const answer = answerSchema.safeParse(message).data;
    const flow = flowSchema.safeParse(message).data;
    if (kept !== undefined) this.#keep(kept, handle);
    else if (answer !== undefined) this.#waiting.get(answer.answer)?.(answer);
    else if (flow !== undefined) this.#tell(flow);
    else if (readySchema.safeParse(message).success) this.#ready();
    else {
      this.#fail(new CofferdamError("INTERNAL", "cofferdam-net: a message that is not known"));
      this.#child.kill("SIGKILL");
    }
  }

  #tell({ network, flow, untold, from, to, data }: z.infer<typeof flowSchema>): void {
    const listener = this.#flowListeners.get(network);
    if (listener === undefined) this.refuse(network, flow);
    else listener({ flow, untold, from: { address: from[0], port: from[1] }, to: { address: to[0], port: to[1] }, data: Buffer.from(data, "base64") });
  }

  #keep({ network, role, flow }: z.infer<typeof handleSchema>, handle: unknown): void {
    if (role === "tcp4" || role === "tcp6") {
      const server = new Server({ allowHalfOpen: true, noDelay: true });
      listOf(this.#tcp, network).push(server.listen(handle));
    } else if (handle instanceof UdpSocket) {
      if (role === "flow") this.#flows.set(`${network} ${flow}`, handle);
      else listOf(this.#dns, network).push(handle);
    }
  }

  #fail(error: CofferdamError): void {
    const first = this.#failure === undefined;
    this.#failure ??= error;
    for (const settle of [...this.#waiting.values()]) settle(this.#failure);
    this.#ready();
    if (first) this.events.emit("gone", error);
  }
}

function listOf<T>(lists: Map<number, T[]>, id: number): T[] {
  const list = lists.get(id) ?? [];
  lists.set(id, list);
  return list;
}
