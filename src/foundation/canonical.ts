/**
 * RFC 8785 canonical JSON: the exact bytes that hashes and signatures are made over.
 * Stricter than the RFC where it leaves room for two readings: lone surrogates, non-finite numbers, integers that
 * a double cannot hold exactly, undefined, functions and values deeper than {@link MAX_DEPTH} are refused.
 */
import canonicalize from "canonicalize";
import { CofferdamError } from "./errors.ts";

export const MAX_DEPTH = 64;

/** JSON as a type; what canonical records are made of. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };
export type JsonObject = { readonly [key: string]: JsonValue };

/** Canonical bytes (UTF-8) of a value. Throws INVALID_ARGUMENT when the value has no single canonical form. */
export function canonicalBytes(value: unknown): Buffer {
  return Buffer.from(canonicalText(value), "utf8");
}

/** The same as text. */
export function canonicalText(value: unknown): string {
  assertCanonical(value, "$", 0);
  const text = canonicalize(value);
  if (text === undefined) throw new CofferdamError("INVALID_ARGUMENT", "value has no JSON form");
  return text;
}

function assertCanonical(value: unknown, path: string, depth: number): void {
  if (depth > MAX_DEPTH) throw refuse(path, `nested deeper than ${MAX_DEPTH}`);
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) throw refuse(path, "lone surrogate");
      return;
    case "number":
      if (!Number.isFinite(value)) throw refuse(path, "not a finite number");
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw refuse(path, "integer beyond 2^53");
      return;
    case "boolean":
      return;
    case "object":
      break;
    default:
      throw refuse(path, `${typeof value} is not JSON`);
  }
  if (value === null) return;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) assertCanonical(value[i], `${path}[${i}]`, depth + 1);
    return;
  }
  const proto: unknown = Object.getPrototypeOf(value);
  if (proto !== Object.prototype && proto !== null) throw refuse(path, "not a plain object");
  if ("toJSON" in value) throw refuse(path, "toJSON is not allowed");
  for (const [key, child] of Object.entries(value)) {
    if (!key.isWellFormed()) throw refuse(path, "lone surrogate in a key");
    assertCanonical(child, `${path}.${key.slice(0, 40)}`, depth + 1);
  }
}

function refuse(path: string, why: string): CofferdamError {
  return new CofferdamError("INVALID_ARGUMENT", `no canonical form: ${why} at ${path.slice(0, 200)}`, { details: { path: path.slice(0, 200), why } });
}
