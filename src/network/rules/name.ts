/**
 * DNS names as rules and jobs write them. Compared as ASCII, lower case, without the last dot; a name in Unicode is refused with
 * its A-label as the hint, since two that look alike must not be told apart by a reader's eye.
 */
import { domainToASCII } from "node:url";
import { CofferdamError } from "../../foundation/index.ts";

/** Longest name as text without its last dot, and longest label (RFC 1035 §2.3.4). */
const MAX_NAME = 253;
const MAX_LABEL = 63;
/** Letters, digits, hyphen inside; underscore anywhere, since service labels (_acme-challenge) have it. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/;

/** The name in the form that is compared, or undefined for what is no name: an address, `127.1`, Unicode, nonsense. */
export function normalName(text: string): string | undefined {
  if (text.length > MAX_NAME + 1) return undefined;
  const name = (text.endsWith(".") ? text.slice(0, -1) : text).toLowerCase();
  if (name === "" || name.length > MAX_NAME) return undefined;
  const labels = name.split(".");
  if (!labels.every((label) => label.length <= MAX_LABEL && LABEL.test(label))) return undefined;
  return standsForAddress(labels.at(-1) ?? "") ? undefined : name;
}

/** Like {@link normalName}; throws INVALID_ARGUMENT with what is wrong. @param what the rule, for the message. */
export function requireName(text: string, what: string): string {
  const name = normalName(text);
  if (name !== undefined) return name;
  const { problem, hint } = complaint(text);
  throw new CofferdamError("INVALID_ARGUMENT", `${what}: ${problem}`, hint === undefined ? {} : { hint });
}

/** 127.1, 2130706433 and 0x7f.1 are addresses to many resolvers. */
function standsForAddress(label: string): boolean {
  return /^(?:\d+|0x[0-9a-f]*)$/.test(label);
}

function complaint(text: string): { readonly problem: string; readonly hint?: string } {
  if (text === "" || text === ".") return { problem: "there is no name" };
  if (/[^\x21-\x7e]/.test(text)) {
    const ascii = text.length > MAX_NAME ? "" : domainToASCII(text);
    return ascii === "" || normalName(ascii) === undefined
      ? { problem: "a name is written in ASCII, without spaces" }
      : { problem: "a name is written in ASCII", hint: `write it as ${normalName(ascii)}` };
  }
  if (text.includes("://")) return { problem: "not a name but an address of the web", hint: "write it like host.example:443" };
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  if (name.length > MAX_NAME) return { problem: `a name has at most ${MAX_NAME} characters, not ${name.length}` };
  const labels = name.toLowerCase().split(".");
  if (standsForAddress(labels.at(-1) ?? "")) return { problem: "it ends in a number, which resolvers take for an address" };
  const long = labels.find((label) => label.length > MAX_LABEL);
  if (long !== undefined) return { problem: `a label has at most ${MAX_LABEL} characters, not ${long.length}` };
  const bad = labels.find((label) => !LABEL.test(label)) ?? "";
  if (bad === "") return { problem: "two dots in a row, or one at the start" };
  if (bad.includes("*")) return { problem: "an asterisk stands alone, at the start: *.host.example" };
  return { problem: `${JSON.stringify(bad.slice(0, MAX_LABEL))} is no label: letters, digits, hyphen, underscore` };
}
