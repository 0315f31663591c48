/**
 * One connection of the job, from its first byte to its end: what is spoken, what the rules say of it, where it leads, and then
 * the bytes both ways. Requests of plain HTTP are checked one by one, and of HTTPS where a rule is for requests; everything else
 * is left alone once it is let through.
 */
import type { Socket } from "node:net";
import { messageOf } from "../../foundation/index.ts";
import type { JobResolver } from "../resolver/index.ts";
import { type CompiledPolicy, type Decision, formatAddress, parseAddress, passes, placeText, refusalMessage } from "../rules/index.ts";
import { acceptTls, type JobAuthority, type ServerTrust } from "../tls/index.ts";
import type { ByteCounter, TrafficRecord } from "../traffic/index.ts";
import type { Dialer } from "./dialer.ts";
import { CLIENT_SPEAKS, type FirstWords, firstWords, SERVER_MAY_SPEAK } from "./first-words.ts";
import { HttpRelay } from "./http-relay.ts";
import { type Judgement, judge, PROVEN_PORTS, type Spoken, type Wanted } from "./judge.ts";
import { failHttp, refuseHttp, refuseTls } from "./refusal-page.ts";
import { letServerSpeak } from "./server-first.ts";
import { reset, tieTogether } from "./tie.ts";
import type { Upstream } from "./upstream.ts";

export interface ConnectionContext {
  readonly policy: () => CompiledPolicy;
  readonly resolver: Pick<JobResolver, "answered">;
  readonly dialer: Dialer;
  readonly record: TrafficRecord;
  /** The gateway's own address as the job sees it, for the record. */
  readonly gateway: string;
  readonly authority: () => JobAuthority;
  readonly trust: ServerTrust;
}

export class JobConnection {
  readonly #client: Socket;
  readonly #wanted: Wanted;
  /** The job's port; asked while it is there. */
  readonly #source: number | undefined;
  readonly #context: ConnectionContext;
  readonly #ending = new AbortController();
  /** Set once it was let through. */
  #spoken: Spoken | undefined;
  /** Its requests are. */
  #checked = false;
  #upstream: Socket | undefined;
  /** The client inside of TLS that ends here. */
  #secured: Socket | undefined;
  #counter: ByteCounter | undefined;
  #counted = { sent: 0, received: 0 };

  /** @param client paused, with allowHalfOpen; bytes that were read of it already are put back first (unshift). */
  constructor(client: Socket, wanted: Wanted, context: ConnectionContext) {
    this.#client = client;
    this.#wanted = wanted;
    this.#source = client.remotePort;
    this.#context = context;
    client.on("error", () => client.destroy());
    client.once("close", () => {
      this.#ending.abort();
      this.settle();
    });
  }

  /** Never rejects; resolves when the connection is refused, or runs by itself. */
  async run(): Promise<void> {
    const client = this.#client;
    const proven = PROVEN_PORTS.has(this.#wanted.port);
    const words = await firstWords(client, proven ? CLIENT_SPEAKS : SERVER_MAY_SPEAK);
    if (words === undefined) return;
    if (words.kind === "silent" && (proven || words.ended)) this.#endUnspoken();
    else if (words.kind === "silent") await this.#serverFirst();
    else await this.#proceed(words);
  }

  /** The server may be the one that speaks first; what the client says then is judged when it comes. */
  async #serverFirst(): Promise<void> {
    const client = this.#client;
    const raw: Spoken = { kind: "raw" };
    const upstream = await this.open(raw, this.judge(raw), client);
    if (upstream === undefined) return;
    const { socket } = upstream;
    const words = await letServerSpeak(client, socket);
    if (words === undefined) return;
    if (words.kind === "raw" || words.kind === "silent") {
      this.#pour(upstream, words.bytes);
      return;
    }
    // TLS or HTTP after all, of a client that took its time: nothing was lost, and it begins anew.
    this.settle();
    this.#spoken = undefined;
    this.#upstream = undefined;
    const spoke = socket.bytesRead > 0;
    socket.destroy();
    if (spoke)
      this.refuse({ kind: "raw" }, { name: this.#told[0], decision: this.#context.policy().refuse("bad-request", "the server had spoken before") }, client);
    else await this.#proceed(words);
  }

  #pour(upstream: Upstream, bytes: Buffer): void {
    const { socket } = upstream;
    tieTogether(this.#client, socket);
    if (bytes.length > 0) socket.write(bytes);
    this.#client.pipe(socket);
    upstream.pourInto(this.#client);
  }

  async #proceed(words: FirstWords): Promise<void> {
    const client = this.#client;
    if (words.kind === "http") {
      new HttpRelay({ connection: this, client, port: this.#wanted.port, policy: this.#context.policy }).start(words.bytes);
      return;
    }
    const spoken = spokenOf(words);
    const judgement = this.judge(spoken);
    if (spoken.kind === "tls" && spoken.name !== undefined && this.#mustCheck(judgement)) {
      await this.#checkInside(spoken.name, words.bytes);
      return;
    }
    const upstream = await this.open(spoken, judgement, client);
    if (upstream !== undefined) this.#pour(upstream, words.bytes);
  }

  /** Somebody looked whether the port is open: no server hears of it, and what might be reached there is no violation. */
  #endUnspoken(): void {
    const { address, name = this.#told[0], port } = this.#wanted;
    const decision = this.#context.policy().decide({ name, address, port, protocol: "tcp" });
    if (!passes(decision)) {
      this.refuse({ kind: "raw" }, { decision, name }, this.#client);
      return;
    }
    this.#note(decision, name, this.#place);
    this.#client.end();
    this.#client.destroySoon();
  }

  /** Ends the job's TLS here, and checks what is asked for inside. */
  async #checkInside(name: string, hello: Buffer): Promise<void> {
    const client = this.#client;
    const { authority, policy, trust } = this.#context;
    client.unshift(hello);
    try {
      this.#secured = await acceptTls(client, name, authority());
    } catch (error) {
      this.recordRefusal({ name, decision: policy().refuse("tls-failed", messageOf(error)) });
      client.destroy();
      return;
    }
    const secure = async (socket: Socket): Promise<Socket> => await trust.connectTls(socket, name);
    new HttpRelay({ connection: this, client: this.#secured, port: this.#wanted.port, policy, inside: name, secure }).start(Buffer.alloc(0));
  }

  #mustCheck({ decision }: Judgement): boolean {
    return decision.requestsOnly === true && passes(decision) && !this.#context.policy().observe;
  }

  judge(spoken: Spoken): Judgement {
    return judge(this.#wanted, spoken, this.#context.policy(), this.#told);
  }

  /** The names that led to where it was sent. */
  get #told(): readonly string[] {
    const at = this.#wanted.address ?? parseAddress(this.#context.gateway);
    return at === undefined ? [] : this.#context.resolver.answered.namesAt(at);
  }

  /** The way to the server, or undefined when the client was told that there is none. */
  async open(spoken: Spoken, { decision, name }: Judgement, client: Socket): Promise<Upstream | undefined> {
    if (!passes(decision)) {
      this.refuse(spoken, { decision, name }, client);
      return undefined;
    }
    const { dialer } = this.#context;
    const { address, port } = this.#wanted;
    const { signal } = this.#ending;
    const dialled =
      decision.via !== "name" && address !== undefined
        ? await dialer.byAddress(address, port, signal)
        : await dialer.byName(name ?? "", port, decision, signal);
    if (dialled.kind === "refused") {
      this.refuse(spoken, { decision: dialled.decision, name }, client);
      return undefined;
    }
    if (dialled.kind === "failed") {
      this.#note(decision, name, this.#place);
      if (spoken.kind === "http") failHttp(client, this.target(name), dialled.why);
      else reset(client);
      return undefined;
    }
    this.#counter = this.#note(decision, name, formatAddress(dialled.address));
    if (decision.verdict === "observed") this.#violation(decision, name);
    // The policy may have changed, or the job have left, while the server was reached.
    const now = this.judge(spoken).decision;
    if (signal.aborted || !passes(now)) {
      dialled.upstream.socket.destroy();
      if (!signal.aborted) this.refuse(spoken, { decision: now, name }, client);
      return undefined;
    }
    this.#spoken = spoken;
    this.#checked = decision.requestsOnly === true;
    this.#upstream = dialled.upstream.socket;
    this.#counted = { sent: 0, received: 0 };
    return dialled.upstream;
  }

  /** On record, and told to the client in its protocol. */
  refuse(spoken: Spoken, judgement: Judgement, client: Socket): void {
    this.recordRefusal(judgement);
    if (spoken.kind === "tls") refuseTls(client);
    else if (spoken.kind === "http" || (spoken.kind === "malformed" && spoken.reason !== "not-tls"))
      refuseHttp(client, this.target(judgement.name), judgement.decision);
    else reset(client);
  }

  /** A request that goes on. */
  requested(method: string, target: string): void {
    this.#counter?.request(method, target);
  }

  /** What is refused, or would be. */
  recordRefusal({ decision, name }: Judgement): void {
    this.#note(decision, name, this.#place);
    this.#violation(decision, name);
  }

  /** Ends it when the policy does not let it through any more. @returns whether it was ended. */
  cutIfRefused(): boolean {
    if (this.#spoken === undefined) return false;
    const judgement = this.judge(this.#spoken);
    if (passes(judgement.decision) && (this.#checked || !this.#mustCheck(judgement))) return false;
    this.recordRefusal(judgement);
    this.close();
    return true;
  }

  /** Counts what was carried since the last time. */
  settle(): void {
    if (this.#upstream === undefined) return;
    const { bytesWritten: sent, bytesRead: received } = this.#upstream;
    this.#counter?.sent(sent - this.#counted.sent);
    this.#counter?.received(received - this.#counted.received);
    this.#counted = { sent, received };
  }

  close(): void {
    this.#client.resetAndDestroy();
    this.#secured?.destroy();
    this.#upstream?.resetAndDestroy();
  }

  /** `host:port` as one writes it in a rule. */
  target(name: string | undefined): string {
    return placeText(name ?? this.#place, this.#wanted.port);
  }

  get #place(): string {
    const { address, name } = this.#wanted;
    return address === undefined ? (name ?? this.#context.gateway) : formatAddress(address);
  }

  #note({ verdict, rule, reason }: Decision, domain: string | undefined, dst: string): ByteCounter {
    return this.#context.record.connection({ proto: "tcp", dst, port: this.#wanted.port, domain, verdict, rule: reason ?? rule, source: this.#source });
  }

  #violation(decision: Decision, domain: string | undefined): void {
    this.#context.record.violation({
      proto: "tcp",
      dst: this.#place,
      port: this.#wanted.port,
      domain,
      reason: decision.reason ?? "not-allowed",
      message: refusalMessage(this.target(domain), decision),
    });
  }
}

/** First byte of a record of TLS that begins a handshake. */
const TLS_HANDSHAKE = 22;

function spokenOf(words: FirstWords): Spoken {
  if (words.kind === "tls") return { kind: "tls", name: words.hello.name, encrypted: words.hello.encrypted };
  if (words.kind === "malformed") return { kind: "malformed", reason: words.bytes[0] === TLS_HANDSHAKE ? "not-tls" : "not-http", rule: words.problem };
  return { kind: "raw" };
}
