/** Rows of the tables as the things that they stand for. */
import { z } from "zod";
import { CofferdamError } from "../../foundation/index.ts";
import type { Row } from "../../store/index.ts";
import type { Install, InstalledVersion, RememberedScript } from "./install.ts";

const decisions = z.enum(["allowed", "denied", "stopped", "failed"]);
const texts = z.array(z.string());

export function installOf(row: Row): Install {
  const [first, last] = [row["first_seq"], row["last_seq"]];
  return {
    runId: text(row, "run_id"),
    project: text(row, "project"),
    at: Number(row["at"]),
    command: text(row, "command"),
    level: text(row, "level"),
    decision: decisions.parse(row["decision"]),
    code: optionalText(row, "code"),
    onDisk: Number(row["on_disk"]) === 1,
    policyDigest: text(row, "policy"),
    auditRange: first === null || first === undefined ? undefined : [Number(first), Number(last)],
  };
}

export function versionOf(row: Row): InstalledVersion {
  const integrity = text(row, "integrity");
  return { name: text(row, "name"), version: text(row, "version"), integrity: integrity === "" ? undefined : integrity };
}

export function scriptOf(row: Row): RememberedScript {
  const exit = row["exit"];
  return {
    name: text(row, "name"),
    version: text(row, "version"),
    event: text(row, "event"),
    ran: Number(row["ran"]) === 1,
    why: text(row, "why"),
    exit: exit === null || exit === undefined ? undefined : Number(exit),
    killedBy: optionalText(row, "killed_by"),
    refused: texts.parse(JSON.parse(text(row, "refused"))),
    refusedCount: Number(row["refused_count"]),
    reached: texts.parse(JSON.parse(text(row, "reached"))),
  };
}

/** Throws INTEGRITY_FAILURE for a column that holds something else. */
export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw new CofferdamError("INTEGRITY_FAILURE", `the recorded installs are damaged: ${column} is no text`);
  return value;
}

function optionalText(row: Row, column: string): string | undefined {
  const value = row[column];
  return typeof value === "string" ? value : undefined;
}
