/** Workspaces by job, on record before they are made, so that a crash leaves none that nobody knows of. */
import { CofferdamError } from "../../foundation/index.ts";
import type { Store } from "../../store/index.ts";
import type { Ledger } from "../ledger.ts";
import type { DiskUse } from "./disk-use.ts";
import { bytesOnHost, enforcedUsage, type MadeWorkspace, makeWorkspace, placesOf, prepareFolder, removeWorkspace, type WorkspaceOwner } from "./image.ts";
import { sizeOfTree } from "./walk.ts";

export interface Workspace extends MadeWorkspace {
  readonly jobId: string;
  readonly bytes: number;
}

interface WorkspaceParts {
  readonly store: Store;
  readonly ledger: Ledger;
  readonly host: string;
  readonly folder: string;
}

export class Workspaces {
  readonly #parts: WorkspaceParts;
  readonly #watched = new Set<string>();

  constructor(parts: WorkspaceParts) {
    this.#parts = parts;
  }

  /** Throws CONFLICT for a second one of a job. */
  async create(jobId: string, bytes: number, owner: WorkspaceOwner): Promise<Workspace> {
    const { store, ledger, host, folder } = this.#parts;
    prepareFolder(folder);
    await ledger.signOfLife();
    const { changes } = await store.write((tx) =>
      tx.run("INSERT INTO quota_workspaces (job_id, host, owner, folder, bytes) VALUES (?, ?, ?, ?, ?) ON CONFLICT (job_id) DO NOTHING", [
        jobId,
        host,
        ledger.ownerId,
        folder,
        bytes,
      ]),
    );
    if (changes === 0) throw new CofferdamError("CONFLICT", `job ${jobId} has a workspace already`, { details: { jobId } });
    try {
      const made = await makeWorkspace(placesOf(folder, jobId), bytes, owner);
      if (made.enforcement === "watched") this.#watched.add(jobId);
      return { jobId, bytes, ...made };
    } catch (error) {
      await this.remove(jobId);
      throw error;
    }
  }

  /** @returns undefined when there was none. */
  async remove(jobId: string): Promise<{ readonly lingering: boolean } | undefined> {
    const { store, host } = this.#parts;
    const row = await store.read((tx) => tx.get("SELECT folder FROM quota_workspaces WHERE job_id = ? AND host = ?", [jobId, host]));
    if (row === undefined) return undefined;
    const removed = await removeWorkspace(placesOf(String(row["folder"]), jobId));
    // Last, so that a crash in between is found.
    await store.write((tx) => tx.run("DELETE FROM quota_workspaces WHERE job_id = ? AND host = ?", [jobId, host]));
    this.#watched.delete(jobId);
    return removed;
  }

  /** Removes those whose owner is gone: call it after the book was cleaned. @returns the jobs that they were of. */
  async removeForgotten(): Promise<readonly string[]> {
    const { store, host } = this.#parts;
    const rows = await store.read((tx) =>
      tx.all("SELECT job_id FROM quota_workspaces WHERE host = ? AND NOT EXISTS (SELECT 1 FROM quota_owners WHERE quota_owners.id = quota_workspaces.owner)", [
        host,
      ]),
    );
    const jobs = rows.map((row) => String(row["job_id"]));
    for (const jobId of jobs) await this.remove(jobId);
    return jobs;
  }

  /** Undefined for a job without one. */
  async usage(jobId: string): Promise<DiskUse | undefined> {
    const { store, host } = this.#parts;
    const row = await store.read((tx) => tx.get("SELECT folder, bytes FROM quota_workspaces WHERE job_id = ? AND host = ?", [jobId, host]));
    if (row === undefined) return undefined;
    const places = placesOf(String(row["folder"]), jobId);
    const enforced = this.#watched.has(jobId) ? undefined : enforcedUsage(places);
    if (enforced !== undefined) return { used: enforced.used, limit: enforced.size, enforcement: "enforced", complete: true };
    const { bytes, complete } = await sizeOfTree(places.root);
    return { used: bytes, limit: Number(row["bytes"]), enforcement: "watched", complete };
  }

  /** Bytes of the host's disk that workspaces take now. */
  async onHost(): Promise<number> {
    const { store, host } = this.#parts;
    const rows = await store.read((tx) => tx.all("SELECT job_id, folder FROM quota_workspaces WHERE host = ?", [host]));
    return rows.reduce((sum, row) => sum + bytesOnHost(placesOf(String(row["folder"]), String(row["job_id"]))), 0);
  }
}
