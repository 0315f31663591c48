/** What a sealed thing is bound to, as bytes: the first part says what it is for, and in which version of this format. */
import { lengthFramed } from "../../foundation/index.ts";

export type Purpose = "value" | "data-key" | "store-key" | "passphrase" | "record" | "store" | "sum-key" | "summand" | "sum" | "backup";

/** Numbers are written in decimal. */
export function additionalData(purpose: Purpose, ...parts: readonly (string | number | Uint8Array)[]): Buffer {
  return lengthFramed([`cofferdam/secrets/${purpose}/v1`, ...parts].map((part) => (typeof part === "number" ? String(part) : part)));
}
