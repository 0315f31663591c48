/**
 * Requests of HTTP/1: every head is checked, since a connection that is kept alive can name another host each time. Answers are
 * not read; but for the first one to a request for WebSocket, which tells whether requests still follow.
 */
import type { Socket } from "node:net";
import { messageOf } from "../../foundation/index.ts";
import { type CompiledPolicy, passes, type RefusalReason } from "../rules/index.ts";
import type { JobConnection } from "./job-connection.ts";
import type { Judgement, Spoken } from "./judge.ts";
import { failHttp, refuseHttp } from "./refusal-page.ts";
import type { RequestHead } from "./request-head.ts";
import { RequestStream } from "./request-stream.ts";
import { tieTogether } from "./tie.ts";
import { Upstream } from "./upstream.ts";

export interface HttpRelayParts {
  readonly connection: JobConnection;
  /** Paused. */
  readonly client: Socket;
  readonly port: number;
  readonly policy: () => CompiledPolicy;
  /** The name that TLS around the requests was asked for: they name no other. */
  readonly inside?: string | undefined;
  /** TLS around the connection to the server. */
  readonly secure?: ((socket: Socket) => Promise<Socket>) | undefined;
}

/** ms for the first head. */
const HEAD_TIMEOUT = 30_000;
/** ms that a server has to end its answers, before a refused later request is told so. */
const LAST_ANSWERS = 5000;
const SWITCHED = "HTTP/1.1 101";

interface Fault {
  readonly reason: RefusalReason;
  readonly rule: string;
}

export class HttpRelay {
  readonly #parts: HttpRelayParts;
  readonly #requests: RequestStream<Fault>;
  #first: RequestHead | undefined;
  /** The policy by which every request to the first one's host may go on: it is asked once, as long as it is the same. */
  #openBy: CompiledPolicy | undefined;
  /** The host of the latest request. */
  #latest: string | undefined;

  constructor(parts: HttpRelayParts) {
    this.#parts = parts;
    this.#requests = new RequestStream<Fault>((head) => this.#admit(head));
  }

  /** @param bytes what came so far. */
  start(bytes: Buffer): void {
    const { client } = this.#parts;
    const passed: Buffer[] = [];
    const timer = setTimeout(() => client.destroy(), HEAD_TIMEOUT);
    client.once("close", () => clearTimeout(timer));
    const take = (chunk: Buffer): void => {
      const checked = this.#requests.push(chunk);
      passed.push(checked.passed);
      if (checked.fault === undefined && this.#first === undefined) return;
      clearTimeout(timer);
      client.pause();
      client.off("data", take).off("end", ended);
      this.#decide(Buffer.concat(passed), checked.fault).catch(() => client.destroy());
    };
    const ended = (): void => void client.end();
    client.on("data", take).once("end", ended);
    take(bytes);
    if (this.#first === undefined) client.resume();
  }

  #admit(head: RequestHead): Fault | "stop" | undefined {
    const { connection, port } = this.#parts;
    this.#latest = head.host;
    const fault = this.#faultOf(head, port) ?? this.#requestFault(head, port);
    if (fault !== undefined) return fault;
    if (this.#first !== undefined) {
      connection.requested(head.method, head.target);
      return undefined;
    }
    this.#first = head;
    return head.upgrade ? "stop" : undefined;
  }

  #faultOf(head: RequestHead, port: number): Fault | undefined {
    const { inside } = this.#parts;
    if (head.method === "CONNECT") return { reason: "bad-request", rule: "CONNECT to what is no proxy" };
    if (head.port !== undefined && head.port !== port) return { reason: "bad-request", rule: "the port in Host" };
    if (inside !== undefined && head.host !== inside) return { reason: "name-mismatch", rule: "Host" };
    if (this.#first === undefined) return undefined;
    if (head.host !== this.#first.host) return { reason: "host-switch", rule: "Host" };
    return head.upgrade ? { reason: "bad-request", rule: "Upgrade behind other requests" } : undefined;
  }

  /** What no rule for requests allows, where only such rules allow the host. */
  #requestFault(head: RequestHead, port: number): Fault | undefined {
    const { connection } = this.#parts;
    const policy = this.#parts.policy();
    if (head.hostIsAddress || (policy === this.#openBy && head.host === this.#first?.host)) return undefined;
    if (policy.decide({ name: head.host, address: undefined, port, protocol: "tcp" }).requestsOnly !== true) {
      this.#openBy = policy;
      return undefined;
    }
    const decision = head.overrides
      ? policy.refuse("bad-request", "a field that asks for another method or path")
      : policy.permitsRequest(head.host, port, head.method, head.target);
    if (decision.verdict === "observed") connection.recordRefusal({ name: head.host, decision });
    return passes(decision) ? undefined : { reason: decision.reason ?? "path-not-allowed", rule: decision.rule };
  }

  async #decide(passed: Buffer, fault: Fault | undefined): Promise<void> {
    const { connection, client, policy } = this.#parts;
    const first = this.#first;
    const spoken: Spoken =
      first !== undefined
        ? { kind: "http", host: first.host, hostIsAddress: first.hostIsAddress }
        : { kind: "malformed", reason: fault?.reason ?? "not-http", rule: fault?.rule ?? "", name: this.#latest };
    const upstream = await this.#open(spoken);
    if (upstream === undefined) return;
    tieTogether(client, upstream.socket);
    if (first !== undefined) connection.requested(first.method, first.target);
    upstream.socket.write(passed);
    if (first === undefined || policy().mode === "relaxed") this.#unchecked(upstream);
    else if (first.upgrade) this.#awaitSwitch(upstream);
    else {
      upstream.pourInto(client);
      this.#checked(upstream, fault);
    }
  }

  async #open(spoken: Spoken): Promise<Upstream | undefined> {
    const { connection, client, secure } = this.#parts;
    const upstream = await connection.open(spoken, connection.judge(spoken), client);
    if (upstream === undefined || secure === undefined) return upstream;
    try {
      return new Upstream(await secure(upstream.socket));
    } catch (error) {
      failHttp(client, connection.target(this.#latest), messageOf(error));
      return undefined;
    }
  }

  /** What follows is no HTTP that we know of, and may be. */
  #unchecked(upstream: Upstream): void {
    upstream.socket.write(this.#requests.rest);
    this.#parts.client.pipe(upstream.socket);
    upstream.pourInto(this.#parts.client);
  }

  /** Later requests. @param fault of one that came with the first. */
  #checked(upstream: Upstream, fault: Fault | undefined): void {
    const { client } = this.#parts;
    const { socket } = upstream;
    const forward = (chunk: Buffer): void => {
      const checked = this.#requests.push(chunk);
      if (checked.passed.length > 0 && !socket.write(checked.passed)) client.pause();
      if (checked.fault !== undefined) stop(checked.fault);
    };
    const resume = (): void => void client.resume();
    const end = (): void => void socket.end();
    const stop = (found: Fault): void => {
      client.off("data", forward).off("end", end);
      socket.off("drain", resume);
      this.#laterFault(upstream, found);
    };
    if (fault !== undefined) {
      this.#laterFault(upstream, fault);
      return;
    }
    socket.on("drain", resume);
    client.on("data", forward).once("end", end);
    client.resume();
  }

  #laterFault(upstream: Upstream, { reason, rule }: Fault): void {
    const { client, connection, policy } = this.#parts;
    const { socket } = upstream;
    const judgement: Judgement = { name: this.#latest, decision: policy().refuse(reason, rule) };
    connection.recordRefusal(judgement);
    if (passes(judgement.decision)) {
      socket.write(this.#requests.rest);
      client.pipe(socket);
      return;
    }
    // The answers to what was let through come first, or the client would take ours for one of them.
    client.on("data", () => undefined);
    client.resume();
    upstream.keepClientOpen();
    socket.end();
    const tell = (): void => {
      clearTimeout(timer);
      refuseHttp(client, connection.target(judgement.name), judgement.decision);
      socket.destroy();
    };
    const timer = setTimeout(tell, LAST_ANSWERS);
    socket.once("end", tell);
    client.once("close", () => clearTimeout(timer));
  }

  #awaitSwitch(upstream: Upstream): void {
    const { client } = this.#parts;
    const { socket } = upstream;
    let answer = Buffer.alloc(0);
    const take = (chunk: Buffer): void => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length < SWITCHED.length) return;
      socket.off("data", take).off("end", ended);
      socket.pause();
      client.write(answer);
      if (answer.toString("latin1", 0, SWITCHED.length) === SWITCHED) {
        this.#unchecked(upstream);
        return;
      }
      const { passed, fault } = this.#requests.goOn();
      if (passed.length > 0) socket.write(passed);
      upstream.pourInto(client);
      this.#checked(upstream, fault);
    };
    const ended = (): void => void client.end(answer);
    socket.on("data", take).once("end", ended);
  }
}
