/**
 * What a stopped container was doing: its processes, what it had changed, and its last events. Bounded, masked, and known by
 * its hash, which the audit trail gets: whoever shows it later shows this and nothing else.
 */
import { hash } from "node:crypto";
import { link, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { type JsonValue, makeFolder, syncFolder } from "../../foundation/index.ts";
import { descriptorsOf, type ProcProcess, readProcess } from "../survey/proc-process.ts";
import type { ChangedFiles } from "./changed-files.ts";

export interface Evidence {
  readonly schema: "cofferdam/evidence/v1";
  readonly threat: JsonValue;
  readonly container: string;
  readonly job: string;
  /** ISO 8601. */
  readonly takenAt: string;
  /** Whether every process stood while it was taken. */
  readonly frozen: boolean;
  readonly processes: readonly (ProcProcess & { readonly descriptors: readonly { readonly fd: number; readonly to: string }[] })[];
  readonly moreProcesses: number;
  readonly changedFiles: ChangedFiles;
  /** The last ones, oldest first. */
  readonly events: readonly JsonValue[];
  /** Events that nobody saw. */
  readonly lost: number;
}

/** Where it is, and how it is known again. */
export interface KeptEvidence {
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly processes: number;
  readonly changedFiles: number;
  readonly events: number;
}

export const MAX_EVIDENCE_BYTES: number = 2 * 1024 * 1024;
/** Ending of a file while it is being written. */
export const UNFINISHED = ".part";
const MAX_PROCESSES = 200;

export function snapshotOf(pids: readonly number[]): Pick<Evidence, "processes" | "moreProcesses"> {
  const processes = pids.slice(0, MAX_PROCESSES).flatMap((pid) => {
    const process = readProcess(pid);
    return process === undefined ? [] : [{ ...process, descriptors: descriptorsOf(pid) }];
  });
  return { processes, moreProcesses: Math.max(0, pids.length - MAX_PROCESSES) };
}

/**
 * Writes it, for root alone; a file that is there is never written over, and one of this name is whole. When it is too large the oldest events go first, then
 * changed files. @param mask takes secrets out of a text. Throws the system's error.
 */
export async function keepEvidence(evidence: Evidence, path: string, mask: (text: string) => string): Promise<KeptEvidence> {
  const { kept, text } = bounded(evidence, mask);
  makeFolder(dirname(path), 0o700);
  const unfinished = `${path}${UNFINISHED}`;
  try {
    const file = await open(unfinished, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(unfinished, path);
    syncFolder(dirname(path));
  } finally {
    await rm(unfinished, { force: true });
  }
  const { processes, changedFiles, events } = kept;
  return {
    ...{ path, sha256: hash("sha256", text), bytes: Buffer.byteLength(text) },
    ...{ processes: processes.length, changedFiles: changedFiles.files.length, events: events.length },
  };
}

function bounded(evidence: Evidence, mask: (text: string) => string): { readonly kept: Evidence; readonly text: string } {
  const clean = (_: string, value: unknown): unknown => (typeof value === "string" ? mask(value).toWellFormed() : value);
  for (let kept = evidence; ; kept = smaller(kept)) {
    const text = `${JSON.stringify(kept, clean)}\n`;
    if (Buffer.byteLength(text) <= MAX_EVIDENCE_BYTES) return { kept, text };
  }
}

function smaller(evidence: Evidence): Evidence {
  const { events, changedFiles, processes, moreProcesses } = evidence;
  if (events.length > 0) return { ...evidence, events: events.slice(Math.ceil(events.length / 2)) };
  const { files } = changedFiles;
  if (files.length > 0) return { ...evidence, changedFiles: { ...changedFiles, files: files.slice(0, Math.floor(files.length / 2)), cut: true } };
  const kept = processes.slice(0, Math.floor(processes.length / 2));
  return { ...evidence, processes: kept, moreProcesses: moreProcesses + processes.length - kept.length };
}
