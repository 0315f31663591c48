/**
 * A process as /proc shows it, through a folder that was opened once: when the process ends and its number goes to another,
 * reads fail instead of showing the other one. Source: proc(5).
 */
import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, statSync } from "node:fs";
import { CofferdamError, messageOf } from "../../../foundation/index.ts";

const NAMESPACES = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] as const;
export type Namespace = (typeof NAMESPACES)[number];
/** environ may hold 2 MiB; the rest of /proc/PID is small but for mountinfo. */
const MAX_FILE = 4 * 2 ** 20;
const MAX_ENTRIES = 1000;

export class ProcessView implements Disposable {
  readonly pid: number;
  readonly #folder: number;

  /** Throws SECURITY_VIOLATION when there is no such process, or when it cannot be looked into from here. */
  constructor(pid: number) {
    this.pid = pid;
    try {
      this.#folder = openSync(`/proc/${pid}`, constants.O_RDONLY | constants.O_DIRECTORY);
    } catch (error) {
      throw unseen(pid, error);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#folder);
  }

  text(name: string): string {
    return this.bytes(name).toString("utf8");
  }

  bytes(name: string): Buffer {
    try {
      const fd = openSync(this.#path(name), constants.O_RDONLY);
      try {
        const pieces: Buffer[] = [];
        for (let size = 0; ; ) {
          const piece = Buffer.alloc(65_536);
          const length = readSync(fd, piece, 0, piece.length, null);
          if (length === 0) return Buffer.concat(pieces);
          size += length;
          if (size > MAX_FILE) throw new CofferdamError("SECURITY_VIOLATION", `/proc/${this.pid}/${name} has more than ${MAX_FILE} bytes`);
          pieces.push(piece.subarray(0, length));
        }
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw unseen(this.pid, error);
    }
  }

  /** A field of `status`, without what stands around it; "" when the kernel has none of that name. */
  field(status: string, name: string): string {
    return (new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(status)?.[1] ?? "").trim().replace(/\s+/g, " ");
  }

  namespaces(): Readonly<Record<Namespace, string>> {
    const link = (name: Namespace): string => this.link(`ns/${name}`);
    return { cgroup: link("cgroup"), ipc: link("ipc"), mnt: link("mnt"), net: link("net"), pid: link("pid"), user: link("user"), uts: link("uts") };
  }

  link(name: string): string {
    try {
      return readlinkSync(this.#path(name));
    } catch (error) {
      throw unseen(this.pid, error);
    }
  }

  /** The program that it runs, as a file. */
  program(): BigIntStats {
    try {
      return statSync(this.#path("exe"), { bigint: true });
    } catch (error) {
      throw unseen(this.pid, error);
    }
  }

  /** A path as it sees it, undefined when there is nothing. Folders of the image on the way may be links: compare what was found. */
  inside(path: string): BigIntStats | undefined {
    try {
      return lstatSync(this.#path(`root${path}`), { bigint: true, throwIfNoEntry: false });
    } catch {
      // Its own links can lead nowhere, or in circles.
      return undefined;
    }
  }

  /** Names in a folder that is no link. Bounded; undefined when there is no such folder. */
  list(path: string): readonly string[] | undefined {
    try {
      const fd = openSync(this.#path(`root${path}`), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
      try {
        return fstatSync(fd).isDirectory() ? readdirSync(`/proc/self/fd/${fd}`).slice(0, MAX_ENTRIES) : undefined;
      } finally {
        closeSync(fd);
      }
    } catch {
      return undefined;
    }
  }

  #path(name: string): string {
    return `/proc/self/fd/${this.#folder}/${name}`;
  }
}

function unseen(pid: number, error: unknown): CofferdamError {
  if (error instanceof CofferdamError) return error;
  return new CofferdamError("SECURITY_VIOLATION", `process ${pid} of the container cannot be looked at: ${messageOf(error)}`, {
    hint: "the proof needs root, on the machine where the engine runs",
    cause: error,
  });
}
