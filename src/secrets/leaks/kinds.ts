/** What is looked for: by how it begins, and who says whether it is one. */
import { awsKeyId, awsSecret, azureKey, azureSecret, githubToken, googleKey, npmToken, slackToken, slackWebhook } from "./formats.ts";
import { namedSecret } from "./named.ts";
import { connectionString, jsonWebToken, privateKey } from "./structures.ts";

export const LEAK_KINDS = [
  "github-token",
  "npm-token",
  "aws-access-key-id",
  "aws-secret-access-key",
  "slack-token",
  "slack-webhook",
  "google-api-key",
  "google-oauth-secret",
  "google-service-account-key",
  "azure-storage-key",
  "azure-shared-access-key",
  "azure-client-secret",
  "json-web-token",
  "private-key",
  "encrypted-private-key",
  "connection-string",
  "named-secret",
] as const;
export type LeakKind = (typeof LEAK_KINDS)[number];
export type LeakSeverity = "critical" | "high" | "medium" | "low";

/** One that was found: its value is `text.slice(from, to)`. */
export interface Hit {
  readonly kind: LeakKind;
  readonly severity: LeakSeverity;
  readonly from: number;
  readonly to: number;
  /** A person may have chosen it: guesses at it have to be slow. */
  readonly guessable?: boolean;
}

/**
 * Looks at a place where something may begin. Reads at most {@link MOST_AHEAD} letters on and {@link MOST_BACK} back, each a
 * few times. @param word what stands there, of {@link BEGINNINGS}.
 */
export type Look = (text: string, at: number, word: string, now: number) => Hit | undefined;

/** Letters: the longest private key and its header, escaped. */
export const MOST_AHEAD: number = 16 * 1024;
export const MOST_BACK: number = 4 * 1024;

/** Every word by which something begins. None can overlap the next so that one would be missed. */
export const BEGINNINGS: RegExp =
  /gh[pousr]_|github_pat_|npm_|A[KS]IA|xox[abeprs]-|xapp-|hooks\.slack\.com\/|AIza|GOCSPX-|AccountKey=|SharedAccessKey=|[0-9]Q~|eyJ|-----BEGIN |:\/\/|secret|token|passw|api[_-]?key|access[_-]?key|auth[_-]?key|credential/gi;

/** Undefined for a word that only looks like one: small letters for large ones. */
export function lookFor(word: string): Look | undefined {
  const known = LOOKS[word];
  return known ?? (/^[0-9]Q~$/.test(word) ? azureSecret : NAMES.test(word) ? namedOrAws : undefined);
}

const NAMES = /^(?:secret|token|passw|api[_-]?key|access[_-]?key|auth[_-]?key|credential)$/i;
const namedOrAws: Look = (text, at, word, now) => awsSecret(text, at, word, now) ?? namedSecret(text, at, word, now);

const LOOKS: Readonly<Record<string, Look>> = {
  ...Object.fromEntries(["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"].map((word) => [word, githubToken])),
  npm_: npmToken,
  AKIA: awsKeyId,
  ASIA: awsKeyId,
  ...Object.fromEntries(["xoxa-", "xoxb-", "xoxe-", "xoxp-", "xoxr-", "xoxs-", "xapp-"].map((word) => [word, slackToken])),
  "hooks.slack.com/": slackWebhook,
  AIza: googleKey,
  "GOCSPX-": googleKey,
  "AccountKey=": azureKey,
  "SharedAccessKey=": azureKey,
  eyJ: jsonWebToken,
  "-----BEGIN ": privateKey,
  "://": connectionString,
};
