/**
 * Plain HTTP: every request's head is checked, since a connection that is kept alive can name another host each time. Answers
 * are not read; but for the first one to a request for WebSocket, which tells whether requests still follow.
 */
import type { Socket } from "node:net";
import { type CompiledPolicy, passes } from "../rules/index.ts";
import type { JobConnection } from "./job-connection.ts";
import type { Judgement, Spoken } from "./judge.ts";
import { refuseHttp } from "./refusal-page.ts";
import type { HeadFault, RequestHead } from "./request-head.ts";
import { RequestStream } from "./request-stream.ts";

/** ms for the first head. */
const HEAD_TIMEOUT = 30_000;
/** ms that a server has to end its answers, before a refused later request is told so. */
const LAST_ANSWERS = 5000;
const SWITCHED = "HTTP/1.1 101";

type Fault = HeadFault | { readonly reason: "host-switch"; readonly rule: string };

export class HttpRelay {
  readonly #connection: JobConnection;
  readonly #client: Socket;
  readonly #port: number;
  readonly #policy: () => CompiledPolicy;
  readonly #requests: RequestStream<Fault>;
  #first: RequestHead | undefined;
  /** The host of the latest request. */
  #latest: string | undefined;

  /** @param client paused. */
  constructor(connection: JobConnection, client: Socket, port: number, policy: () => CompiledPolicy) {
    this.#connection = connection;
    this.#client = client;
    this.#port = port;
    this.#policy = policy;
    this.#requests = new RequestStream<Fault>((head) => this.#admit(head));
  }

  /** @param bytes what came so far. */
  start(bytes: Buffer): void {
    const client = this.#client;
    const passed: Buffer[] = [];
    const timer = setTimeout(() => client.destroy(), HEAD_TIMEOUT);
    client.once("close", () => clearTimeout(timer));
    const take = (chunk: Buffer): void => {
      const checked = this.#requests.push(chunk);
      passed.push(checked.passed);
      if (checked.fault === undefined && this.#first === undefined) return;
      clearTimeout(timer);
      client.pause();
      client.off("data", take);
      this.#decide(Buffer.concat(passed), checked.fault).catch(() => client.destroy());
    };
    client.on("data", take);
    take(bytes);
    if (this.#first === undefined) client.resume();
  }

  #admit(head: RequestHead): Fault | "stop" | undefined {
    this.#latest = head.host;
    if (head.method === "CONNECT") return { reason: "bad-request", rule: "CONNECT to what is no proxy" };
    if (head.port !== undefined && head.port !== this.#port) return { reason: "bad-request", rule: "the port in Host" };
    if (this.#first === undefined) {
      this.#first = head;
      return head.upgrade ? "stop" : undefined;
    }
    if (head.host !== this.#first.host) return { reason: "host-switch", rule: "Host" };
    return head.upgrade ? { reason: "bad-request", rule: "Upgrade behind other requests" } : undefined;
  }

  async #decide(passed: Buffer, fault: Fault | undefined): Promise<void> {
    const first = this.#first;
    const spoken: Spoken =
      first !== undefined
        ? { kind: "http", host: first.host, hostIsAddress: first.hostIsAddress }
        : { kind: "malformed", reason: fault?.reason === "host-switch" ? "bad-request" : (fault?.reason ?? "not-http"), rule: fault?.rule ?? "" };
    const upstream = await this.#connection.open(spoken, this.#connection.judge(spoken));
    if (upstream === undefined) return;
    upstream.write(passed);
    if (first === undefined || this.#policy().mode === "relaxed") this.#unchecked(upstream);
    else if (first.upgrade) this.#awaitSwitch(upstream);
    else {
      upstream.pipe(this.#client);
      this.#checked(upstream, fault);
    }
  }

  /** What follows is no HTTP that we know of, and may be. */
  #unchecked(upstream: Socket): void {
    upstream.write(this.#requests.rest);
    this.#connection.pour(upstream);
  }

  /** Later requests. @param fault of one that came with the first. */
  #checked(upstream: Socket, fault: Fault | undefined): void {
    const client = this.#client;
    const forward = (chunk: Buffer): void => {
      const checked = this.#requests.push(chunk);
      if (checked.passed.length > 0 && !upstream.write(checked.passed)) client.pause();
      if (checked.fault !== undefined) stop(checked.fault);
    };
    const resume = (): void => void client.resume();
    const end = (): void => void upstream.end();
    const stop = (found: Fault): void => {
      client.off("data", forward).off("end", end);
      upstream.off("drain", resume);
      this.#laterFault(upstream, found);
    };
    if (fault !== undefined) {
      this.#laterFault(upstream, fault);
      return;
    }
    upstream.on("drain", resume);
    client.on("data", forward).once("end", end);
    client.resume();
  }

  #laterFault(upstream: Socket, { reason, rule }: Fault): void {
    const client = this.#client;
    const judgement: Judgement = { name: this.#latest, decision: this.#policy().refuse(reason, rule) };
    this.#connection.observed(judgement);
    if (passes(judgement.decision)) {
      upstream.write(this.#requests.rest);
      client.pipe(upstream);
      return;
    }
    // The answers to what was let through come first, or the client would take ours for one of them.
    client.on("data", () => undefined);
    client.resume();
    upstream.unpipe(client);
    upstream.pipe(client, { end: false });
    upstream.end();
    const tell = (): void => {
      clearTimeout(timer);
      refuseHttp(client, this.#connection.target(judgement.name), judgement.decision);
      upstream.destroy();
    };
    const timer = setTimeout(tell, LAST_ANSWERS);
    upstream.once("end", tell);
    client.once("close", () => clearTimeout(timer));
  }

  #awaitSwitch(upstream: Socket): void {
    const client = this.#client;
    let answer = Buffer.alloc(0);
    const take = (chunk: Buffer): void => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length < SWITCHED.length) return;
      upstream.off("data", take).off("end", ended);
      upstream.pause();
      client.write(answer);
      if (answer.toString("latin1", 0, SWITCHED.length) === SWITCHED) {
        this.#unchecked(upstream);
        return;
      }
      const { passed, fault } = this.#requests.goOn();
      if (passed.length > 0) upstream.write(passed);
      upstream.pipe(client);
      this.#checked(upstream, fault);
    };
    const ended = (): void => void client.end(answer);
    upstream.on("data", take).once("end", ended);
  }
}
