/** Connects from the host's own namespace: to what a name leads to now, or to the address that was allowed. */
import type { Socket } from "node:net";
import { CofferdamError } from "../../foundation/index.ts";
import type { Endpoint } from "../contract.ts";
import type { JobResolver } from "../resolver/index.ts";
import { type Address, type CompiledPolicy, type Decision, formatAddress, passes } from "../rules/index.ts";
import { Upstream } from "./upstream.ts";
import { WideReader } from "./wide-reader.ts";

export type Dialled =
  | { readonly kind: "connected"; readonly upstream: Upstream; readonly address: Address }
  /** The name leads to nothing that may be reached. */
  | { readonly kind: "refused"; readonly decision: Decision }
  | { readonly kind: "failed"; readonly why: string };

export interface DialerParts {
  readonly policy: () => CompiledPolicy;
  readonly resolver: Pick<JobResolver, "resolve">;
  /** Where a connection is really made to. */
  readonly reach: (to: Endpoint) => Endpoint;
  readonly connect?: ((to: Endpoint, signal: AbortSignal) => Socket) | undefined;
}

/** ms for one address; and how many of a name are tried. */
const CONNECT_TIMEOUT = 10_000;
const MAX_TRIES = 4;

export class Dialer {
  readonly #parts: DialerParts;

  constructor(parts: DialerParts) {
    this.#parts = parts;
  }

  /** Never rejects. IPv4 is tried first; IPv6 when the name has nothing else. */
  async byName(name: string, port: number, decision: Decision, signal: AbortSignal): Promise<Dialled> {
    let refused: Decision | undefined;
    let why = "no address";
    for (const family of [4, 6] as const) {
      const resolved = await this.#parts.resolver.resolve(name, family);
      if (signal.aborted) return { kind: "failed", why: "no longer wanted" };
      refused ??= resolved.refused;
      if (resolved.state === "failed") why = "its name could not be looked up";
      if (resolved.state === "no-name") return { kind: "failed", why: "there is no such name" };
      const policy = this.#parts.policy();
      const admitted = resolved.addresses.flatMap((address) => {
        const verdict = policy.admits(decision, address, port, "tcp");
        if (passes(verdict)) return [address];
        refused ??= verdict;
        return [];
      });
      for (const address of admitted.slice(0, MAX_TRIES)) {
        const dialled = await this.byAddress(address, port, signal);
        if (dialled.kind === "connected" || signal.aborted) return dialled;
        if (dialled.kind === "failed") why = dialled.why;
      }
      if (admitted.length > 0) return { kind: "failed", why };
    }
    return refused === undefined || passes(refused) ? { kind: "failed", why } : { kind: "refused", decision: refused };
  }

  #open(to: Endpoint, signal: AbortSignal): Upstream {
    const { connect, reach } = this.#parts;
    if (connect !== undefined) return new Upstream(connect(to, signal));
    const reader = new WideReader(reach(to));
    return new Upstream(reader.socket, reader);
  }

  /** Never rejects. */
  async byAddress(address: Address, port: number, signal: AbortSignal): Promise<Dialled> {
    const host = formatAddress(address);
    try {
      const upstream = this.#open({ address: host, port }, signal);
      await connected(upstream.socket, signal);
      return { kind: "connected", upstream, address };
    } catch (error) {
      return { kind: "failed", why: error instanceof CofferdamError ? error.message : "the server does not answer" };
    }
  }
}

async function connected(socket: Socket, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string): void => {
      settled();
      socket.destroy();
      reject(new CofferdamError("UPSTREAM_UNAVAILABLE", why));
    };
    const onError = (): void => fail("the server refused the connection");
    const onAbort = (): void => fail("no longer wanted");
    const timer = setTimeout(() => fail("the server did not answer in time"), CONNECT_TIMEOUT);
    const settled = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      socket.off("error", onError).on("error", () => socket.destroy());
    };
    socket.once("error", onError);
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("connect", () => {
      settled();
      resolve();
    });
  });
}
