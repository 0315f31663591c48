/**
 * The pool of threads that check tarballs: hash first, then structure, then into the store. Checking is CPU work;
 * the main thread keeps the network busy meanwhile. Threads start with the first tarball, so a warm run starts none.
 */
import { Worker } from "node:worker_threads";
import { CofferdamError, type ErrorCode, type ErrorDetails, messageOf } from "../../foundation/index.ts";
import type { GateLimits } from "./limits.ts";
import type { TarballSummary } from "./tarball-store.ts";

export interface VerifyJob {
  /** Bytes (moved to the thread) or a file on the store's own file system (moved into the store). */
  readonly source: { readonly bytes: Uint8Array } | { readonly path: string };
  readonly name: string;
  readonly version: string;
  readonly integrity: string | undefined;
}

/** What one check took in its thread, ms. */
export interface CheckCost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

export type VerifyAnswer =
  | { readonly id: number; readonly cost: CheckCost; readonly summary: TarballSummary }
  | { readonly id: number; readonly cost: CheckCost; readonly error: { readonly code: ErrorCode; readonly message: string; readonly details: ErrorDetails } };

interface Pending {
  resolve(summary: TarballSummary): void;
  reject(error: CofferdamError): void;
}

const THREADS = 2;

export class Verifier {
  readonly #stateDir: string;
  readonly #incoming: string;
  readonly #limits: GateLimits;
  readonly #onCheck: (cost: CheckCost, ok: boolean) => void;
  readonly #pending = new Map<number, Pending>();
  #workers: Worker[] = [];
  #next = 0;
  #closed = false;

  /** @param onCheck told of every check that ended. */
  constructor(stateDir: string, incoming: string, limits: GateLimits, onCheck: (cost: CheckCost, ok: boolean) => void = () => undefined) {
    this.#onCheck = onCheck;
    this.#stateDir = stateDir;
    this.#incoming = incoming;
    this.#limits = limits;
  }

  /** Checks one tarball and stores it. Throws INTEGRITY_FAILURE, PAYLOAD_TOO_LARGE, RESOURCE_EXHAUSTED (disk full). */
  verify(job: VerifyJob): Promise<TarballSummary> {
    if (this.#closed) return Promise.reject(new CofferdamError("CANCELLED", "interrupted"));
    if (this.#workers.length === 0) this.#start();
    const id = this.#next++;
    const worker = this.#workers[id % this.#workers.length];
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      worker?.postMessage({ id, ...job });
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
    this.#failAll(new CofferdamError("CANCELLED", "interrupted"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #start(): void {
    const file = new URL(import.meta.url.endsWith(".ts") ? "./verifier-worker.ts" : "./verifier-worker.js", import.meta.url);
    this.#workers = Array.from({ length: THREADS }, () => {
      const worker = new Worker(file, { workerData: { stateDir: this.#stateDir, incoming: this.#incoming, limits: this.#limits } });
      worker.on("message", (answer: VerifyAnswer) => this.#settle(answer));
      worker.on("error", (error) => this.#failAll(new CofferdamError("INTERNAL", `tarball check failed: ${messageOf(error)}`, { cause: error })));
      return worker;
    });
  }

  #settle(answer: VerifyAnswer): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    this.#onCheck(answer.cost, "summary" in answer);
    if ("summary" in answer) pending?.resolve(answer.summary);
    else pending?.reject(new CofferdamError(answer.error.code, answer.error.message, { details: answer.error.details }));
  }

  #failAll(error: CofferdamError): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const one of pending) one.reject(error);
  }
}
