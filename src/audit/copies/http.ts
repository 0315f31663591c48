/** A server that takes PUT: `ADDRESS/LOG/checkpoint` and `ADDRESS/LOG/SIZE`. */
import { exchange, unreachable } from "../http.ts";
import type { CheckpointCopy } from "./copy.ts";
import { withoutCredentials } from "./place.ts";

/** A server that lets us write and not read, or has nothing yet: then nothing can be compared. */
const NOTHING_TO_READ = [401, 403, 404, 405, 410];

export class HttpCopy implements CheckpointCopy {
  readonly name: string;
  readonly #address: string;

  constructor(address: string) {
    this.#address = address.replace(/\/$/, "");
    this.name = withoutCredentials(address);
  }

  async read(logId: string): Promise<string | undefined> {
    const { status, text } = await exchange("GET", `${this.#address}/${logId}/checkpoint`);
    if (status === 200) return text;
    if (NOTHING_TO_READ.includes(status)) return undefined;
    throw unreachable(this.name, `it answered ${status}`);
  }

  async write(logId: string, size: number, note: string): Promise<void> {
    for (const name of [String(size), "checkpoint"]) {
      const { status } = await exchange("PUT", `${this.#address}/${logId}/${name}`, note);
      if (status < 200 || status > 299) throw unreachable(this.name, `it answered ${status} to PUT`);
    }
  }
}
