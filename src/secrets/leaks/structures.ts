/** Secrets that are more than a word: JSON Web Tokens, private keys, addresses with a password. */
import type { Look } from "./kinds.ts";
import { BASE64, BASE64URL, beginsWord, DASH, DIGIT, DOT, isPlaceholder, LOWER, runEnd } from "./letters.ts";

const MOST_SEGMENT = 6000;

/** RFC 7519: two parts that are JSON objects, the first with `alg`, and a signature. One that has expired is worth little. */
export const jsonWebToken: Look = (text, at, _, now) => {
  if (!beginsWord(text, at)) return undefined;
  const header = runEnd(text, at, BASE64URL, 2000);
  if (text[header] !== ".") return undefined;
  const payload = runEnd(text, header + 1, BASE64URL, MOST_SEGMENT);
  if (text[payload] !== ".") return undefined;
  const to = runEnd(text, payload + 1, BASE64URL, 2000);
  const [head, claims] = [objectIn(text.slice(at, header)), objectIn(text.slice(header + 1, payload))];
  if (to - payload - 1 < 20 || typeof head?.["alg"] !== "string" || claims === undefined) return undefined;
  const { exp, sub } = claims;
  // Of every manual.
  if (sub === "1234567890") return undefined;
  return { kind: "json-web-token", severity: typeof exp === "number" && 1000 * exp < now ? "low" : "medium", from: at, to };
};

function objectIn(segment: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(segment, "base64url").toString());
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

const MOST_KEY: number = 12 * 1024;
const LEAST_BODY = 40;

/** RFC 7468 and what came before it, in a file, in JSON, in a string of a program. The words without a key are no leak. */
export const privateKey: Look = (text, at) => {
  const [begin, label = ""] = /^-----BEGIN ([A-Z0-9 ]{0,40})-----/.exec(text.slice(at, at + 64)) ?? [];
  if (begin === undefined || !/PRIVATE KEY(?: BLOCK)?$/.test(label)) return undefined;
  let from = skipBlanks(text, at + begin.length);
  const headers = /^(?:[A-Za-z-]{1,30}: [^\n\\]{0,200}(?:\\r|\\n|[\r\n])+){0,6}/.exec(text.slice(from, from + 1500))?.[0] ?? "";
  from = skipBlanks(text, from + headers.length);
  if (runEnd(text, from, BASE64, LEAST_BODY) < from + LEAST_BODY) return undefined;
  const end = text.slice(from, from + MOST_KEY).indexOf("-----END");
  const to = end < 0 ? runEnd(text, from, BASE64, MOST_KEY) : from + end;
  if (isPlaceholder(text.slice(from, from + LEAST_BODY))) return undefined;
  if (label.startsWith("ENCRYPTED") || headers.includes("ENCRYPTED")) return { kind: "encrypted-private-key", severity: "medium", from, to };
  const isGoogles = /"type"\s{0,4}:\s{0,4}"service_account"/.test(text.slice(Math.max(0, at - 2000), to + 2000));
  return { kind: isGoogles ? "google-service-account-key" : "private-key", severity: "critical", from, to };
};

/** Line ends, written or escaped, and what a program puts between its lines. */
function skipBlanks(text: string, at: number): number {
  return at + (/^(?:\\[nr]|[\s"'+,\\]){0,40}/.exec(text.slice(at, at + 80))?.[0].length ?? 0);
}

/** Words that stand for a password in every manual. */
const WORDS =
  /^(?:p(?:ass)?w(?:or)?d|pass(?:phrase|code)?|my-?pass(?:word)?|secret|token|user(?:name)?|admin|root|postgres|mysql|mongo|redis|guest|test|default|foo|bar|baz|qux|hunter2|letmein|qwerty|x-oauth-basic|\d{1,6})\d{0,3}$/i;

/** RFC 3986, 3.2.1: `scheme://user:password@host`. */
export const connectionString: Look = (text, at) => {
  let start = at;
  while (start > 0 && at - start < 24 && runEnd(text, start - 1, LOWER | DIGIT | DASH | DOT, 1) === start) start--;
  const [, user, password = "", host = ""] =
    /^:\/\/([^\s/:@"'`<>\\]{0,128}):([^\s/@"'`<>\\]{6,256})@([A-Za-z0-9[][A-Za-z0-9.-]{0,100})/.exec(text.slice(at, at + 512)) ?? [];
  if (user === undefined || at === start || WORDS.test(password) || isPlaceholder(password) || password.toLowerCase() === user.toLowerCase()) return undefined;
  const from = at + 3 + user.length + 1;
  const isOwn = /^(?:localhost|127\.|0\.0\.0\.0|\[|host(?:name)?$)|(?:^|\.)(?:example|test|local|internal|invalid)(?:\.(?:com|net|org))?$/i.test(host);
  return { kind: "connection-string", severity: isOwn ? "low" : "high", from, to: from + password.length, guessable: true };
};
