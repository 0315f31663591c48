/**
 * Tokens that have a form of their own. Where the form has a checksum it decides. Sources: GitHub, "Behind GitHub's new
 * authentication token formats" (npm's are made the same way); AWS IAM identifiers; the vendors' own pages for the others.
 */
import { crc32 } from "node:zlib";
import type { Hit, LeakKind, LeakSeverity, Look } from "./kinds.ts";
import { BASE62, BASE64, BASE64URL, beginsWord, DASH, DIGIT, DOT, entropy, isPlaceholder, isRun, LOWER, runEnd, TILDE, UNDERSCORE, UPPER } from "./letters.ts";

const hit = (kind: LeakKind, severity: LeakSeverity, from: number, to: number): Hit => ({ kind, severity, from, to });

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PAYLOAD = 30;
const CHECKSUM = 6;

/** The last six letters are the CRC-32 of the thirty before them, in base 62. */
function hasChecksum(letters: string): boolean {
  let rest = crc32(letters.slice(0, -CHECKSUM));
  let text = "";
  for (; rest > 0; rest = Math.floor(rest / 62)) text = (ALPHABET[rest % 62] ?? "") + text;
  return text.padStart(CHECKSUM, "0") === letters.slice(-CHECKSUM);
}

function checked(kind: LeakKind): Look {
  return (text, at, word) => {
    const from = at + word.length;
    if (!beginsWord(text, at) || !isRun(text, from, BASE62, PAYLOAD + CHECKSUM)) return undefined;
    const to = from + PAYLOAD + CHECKSUM;
    return hasChecksum(text.slice(from, to)) ? hit(kind, "critical", at, to) : undefined;
  };
}

export const npmToken: Look = checked("npm-token");
const classicGithubToken: Look = checked("github-token");

/** The fine-grained ones: 22 letters, `_`, 59 letters; what their checksum is made of is not published. */
export const githubToken: Look = (text, at, word, now) => {
  if (word !== "github_pat_") return classicGithubToken(text, at, word, now);
  const from = at + word.length;
  const second = from + 23;
  if (!beginsWord(text, at) || !isRun(text, from, BASE62, 22) || text[second - 1] !== "_" || !isRun(text, second, BASE62, 59)) return undefined;
  const value = text.slice(from, second + 59);
  return isPlaceholder(value) || entropy(value) < 4 ? undefined : hit("github-token", "critical", at, second + 59);
};

/** Base 32, where there is no 0, 1, 8 and 9. A name, which is of no use without its secret. */
export const awsKeyId: Look = (text, at) => {
  const to = at + 20;
  if (!beginsWord(text, at) || !isRun(text, at, UPPER | DIGIT, 20)) return undefined;
  const id = text.slice(at + 4, to);
  return /[0189]/.test(id) || id.endsWith("EXAMPLE") || entropy(id) < 2.5 ? undefined : hit("aws-access-key-id", "medium", at, to);
};

/** Forty letters of base 64 after a name with `secret` in it, and one of AWS before that or a key's id near. */
export const awsSecret: Look = (text, at) => {
  const name = runEnd(text, at, BASE64URL, 40);
  const from = assigned(text, name);
  if (from === undefined || !isRun(text, from, BASE64, 40)) return undefined;
  const value = text.slice(from, from + 40);
  const near = text.slice(Math.max(0, at - 200), from + 200);
  const isAws = /aws/i.test(text.slice(Math.max(0, at - 16), name)) || /\bA[KS]IA[A-Z2-7]{16}\b/.test(near) || /secretaccesskey/i.test(text.slice(at, name));
  return isAws && entropy(value) >= 4.2 && !isPlaceholder(value) ? hit("aws-secret-access-key", "critical", from, from + 40) : undefined;
};

/** `xoxb-` and numbers and letters in groups; `xapp-1-A...-...-` and 64 hex digits. */
export const slackToken: Look = (text, at, word) => {
  if (!beginsWord(text, at)) return undefined;
  const from = at + word.length;
  const to = runEnd(text, from, BASE62 | DASH, 255);
  const groups = text.slice(from, to).split("-");
  const last = groups.at(-1) ?? "";
  if (groups.length < 2 || last.length < 10 || entropy(last) < 2.5 || isPlaceholder(last) || !groups.slice(0, -1).some((group) => /^\d+$/.test(group)))
    return undefined;
  return hit("slack-token", "critical", at, to);
};

/** `hooks.slack.com/services/T.../B.../` and 20 letters or more. */
export const slackWebhook: Look = (text, at, word) => {
  const path = /^(?:services|workflows|triggers)\/([A-Z0-9]{8,14})\/([A-Z0-9]{8,20})\/([A-Za-z0-9]{20,40})(?![A-Za-z0-9])/.exec(
    text.slice(at + word.length, at + word.length + 128),
  );
  if (path === null || isPlaceholder(path[3] ?? "")) return undefined;
  return hit("slack-webhook", "high", at, at + word.length + path[0].length);
};

export const googleKey: Look = (text, at, word) => {
  const from = at + word.length;
  const length = word === "AIza" ? 35 : 28;
  if (!beginsWord(text, at) || !isRun(text, from, BASE64URL, length)) return undefined;
  const value = text.slice(from, from + length);
  if (entropy(value) < 3.5 || isPlaceholder(value)) return undefined;
  return word === "AIza" ? hit("google-api-key", "high", at, from + length) : hit("google-oauth-secret", "critical", at, from + length);
};

/** In a connection string: 64 bytes of a storage account, 32 of a bus or hub. */
export const azureKey: Look = (text, at, word) => {
  const from = at + word.length;
  const [letters, padding] = word === "AccountKey=" ? [86, "=="] : [43, "="];
  const to = from + letters + padding.length;
  if (!isRun(text, from, BASE64, letters) || text.slice(from + letters, to) !== padding) return undefined;
  const value = text.slice(from, to);
  // The emulator's key is published, and the same for everybody.
  if (entropy(value) < 4 || value.startsWith("Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq")) return undefined;
  return hit(word === "AccountKey=" ? "azure-storage-key" : "azure-shared-access-key", "critical", from, to);
};

/** Three letters, a digit, `Q~`, and 31 to 34 letters. */
export const azureSecret: Look = (text, at, word) => {
  const set = BASE62 | UNDERSCORE | DASH | DOT | TILDE;
  const from = at - 3;
  const rest = at + word.length;
  const to = runEnd(text, rest, set, 40);
  if (from < 0 || runEnd(text, from, set, 3) !== at || !beginsWord(text, from) || to - rest < 31 || to - rest > 34) return undefined;
  const value = text.slice(from, to);
  return entropy(value) < 4 || !/[a-z]/.test(value) || isRun(text, rest, LOWER, to - rest) ? undefined : hit("azure-client-secret", "critical", from, to);
};

/** Where a value begins that is assigned to a name which ends at `name`: `NAME=`, `"name": "`, `name := '`. */
export function assigned(text: string, name: number): number | undefined {
  const found = /^["'\]]{0,2}[ \t]{0,8}(?:=>|:=|[:=])[ \t]{0,8}(?:[bruf]?["'`]|\\")?/.exec(text.slice(name, name + 32));
  return found === null ? undefined : name + found[0].length;
}
