/** What the audit commands share: filters, and reading and making the files that they name. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { resolve } from "node:path";
import { type AuditQuery, parseVerifierKey } from "../../audit/index.ts";
import { CofferdamError, errnoOf, parseDuration, readBounded, systemClock, wrapError } from "../../foundation/index.ts";
import type { CommandContext, OptionSpec } from "./command.ts";

export const FILTERS: Readonly<Record<"since" | "until" | "category" | "action" | "result" | "user" | "session" | "resource" | "text", OptionSpec>> = {
  since: { type: "string", value: "TIME", describe: "2026-01-31, a full ISO time, or how long ago: 24h" },
  until: { type: "string", value: "TIME", describe: "likewise, inclusive: of a day, all of it (UTC)" },
  category: { type: "string", value: "NAME", describe: "e.g. packages" },
  action: { type: "string", value: "NAME", describe: "e.g. PackageInstall" },
  result: { type: "string", value: "success|failure", describe: "outcome" },
  user: { type: "string", value: "ID", describe: "user id" },
  session: { type: "string", value: "ID", describe: "session or run id" },
  resource: { type: "string", value: "ID", describe: "resource id, e.g. a project's folder" },
  text: { type: "string", value: "TEXT", describe: "part of the event's text" },
};

/** What a log is held against, from outside of its host. */
export const TRUST: Readonly<Record<"checkpoint" | "key", OptionSpec>> = {
  checkpoint: { type: "string", value: "FILE", multiple: true, describe: "a checkpoint kept elsewhere" },
  key: { type: "string", value: "KEY|FILE", multiple: true, describe: "key of the log or of a witness: name+id+base64, or a file with some" },
};

/** Throws INVALID_ARGUMENT. */
export function queryOf({ values }: CommandContext): AuditQuery {
  const result = wordOf(values["result"]);
  if (result !== undefined && result !== "success" && result !== "failure") throw new CofferdamError("INVALID_ARGUMENT", "--result is success or failure");
  return {
    startDate: time(wordOf(values["since"]), "start"),
    endDate: time(wordOf(values["until"]), "end"),
    category: wordOf(values["category"]),
    action: wordOf(values["action"]),
    result,
    userId: wordOf(values["user"]),
    sessionId: wordOf(values["session"]),
    resourceId: wordOf(values["resource"]),
    text: wordOf(values["text"]),
  };
}

export function wordOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** A whole number among the options. Throws INVALID_ARGUMENT. */
export function integerOf({ values }: CommandContext, name: string): number | undefined {
  const value = values[name];
  if (value === undefined) return undefined;
  if (typeof value !== "string" || !/^\d{1,15}$/.test(value)) throw new CofferdamError("INVALID_ARGUMENT", `--${name} takes a whole number`);
  return Number(value);
}

/** A text file that the user named. Throws NOT_FOUND, and as {@link readBounded} does. */
export async function readText(path: string, cwd: string, maxBytes: number, what: string): Promise<string> {
  const bytes = await readBounded(resolve(cwd, path), { maxBytes, what, followLink: true });
  if (bytes === undefined) throw new CofferdamError("NOT_FOUND", `${what}: no file ${path}`);
  return bytes.toString("utf8");
}

/** Verifier keys of `--key`: each is one, or a file with one a line. Throws INVALID_ARGUMENT and NOT_FOUND. */
export async function keysOf({ values, cwd }: CommandContext): Promise<string[]> {
  const given = values["key"];
  const keys: string[] = [];
  for (const word of Array.isArray(given) ? given.map(String) : []) {
    const text = /^[^+\s]+\+[0-9a-f]{8}\+\S+$/.test(word) ? word : await readText(word, cwd, 64 * 1024, "key");
    for (const line of text.split("\n")) if (line.trim() !== "" && !line.startsWith("#")) keys.push(line.trim());
  }
  for (const key of keys) parseVerifierKey(key);
  return keys;
}

/** Checkpoints of `--checkpoint`, as they were kept. Throws NOT_FOUND and PAYLOAD_TOO_LARGE. */
export async function checkpointsOf({ values, cwd }: CommandContext): Promise<string[]> {
  const given = values["checkpoint"];
  const files = Array.isArray(given) ? given.map(String) : [];
  return await Promise.all(files.map((file) => readText(file, cwd, 64 * 1024, "checkpoint")));
}

/** A new file, mode 0600. Throws FAILED_PRECONDITION when there is one already. */
export async function createFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    if (errnoOf(error) === "EEXIST") throw new CofferdamError("FAILED_PRECONDITION", `${path} exists`, { hint: "choose a new name; nothing is overwritten" });
    throw wrapError(error, "FAILED_PRECONDITION", `cannot write ${path}`);
  }
}

/** @param edge which end of a day is meant, where only a day is given. Throws INVALID_ARGUMENT. */
export function time(text: string | undefined, edge: "start" | "end"): Date | undefined {
  if (text === undefined) return undefined;
  if (/^[\d.]+(?:ms|s|m|h|d)$/.test(text)) return new Date(systemClock.now() - parseDuration(text));
  const date = new Date(text);
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(date.getTime()))
    throw new CofferdamError("INVALID_ARGUMENT", `not a time: ${JSON.stringify(text.slice(0, 40))} (2026-01-31, a full ISO time, or 24h)`);
  // "Until the 31st" has the 31st in it.
  return edge === "end" && text.length === 10 ? new Date(date.getTime() + 86_400_000 - 1) : date;
}
