/**
 * Whether a program is of a container's image, for sources that do not show the kernel's own layers. A look, some time after the program
 * began, and yet sure: a file that a container changes or makes is in the upper layer of its overlay from then on, or a mark of its removal
 * is. So what shows in the container with the same inode and is not in the upper layer was not there before either.
 */
import { closeSync, lstatSync, openSync, readSync } from "node:fs";
import type { FileFacts } from "../event.ts";
import { fileId } from "../reader/kernel-values.ts";

/** Of mountinfo, bytes: the engine's mounts stand first, and a job can have many. */
const MAX_MOUNTS: number = 64 << 10;

interface Overlay {
  /** Where it is in the container; ends with a slash. */
  readonly point: string;
  /** What is written there, on the host. */
  readonly upper: string;
  readonly device: bigint;
}

export class Layers {
  readonly #root: string;
  /** The innermost first. */
  readonly #overlays: readonly Overlay[];

  private constructor(root: string, overlays: readonly Overlay[]) {
    this.#root = root;
    this.#overlays = overlays;
  }

  /** @param pid a process of the container that lives as long as it is asked for; its mounts now are those that count. */
  static of(pid: number): Layers {
    try {
      const overlays = mountsOf(pid).flatMap(overlayOf);
      return new Layers(
        `/proc/${pid}/root`,
        overlays.reverse().sort((a, b) => b.point.length - a.point.length),
      );
    } catch {
      return new Layers("", []);
    }
  }

  /** undefined: not known. */
  fresh({ id, path, cut, unlinked, anonymous }: FileFacts): boolean | undefined {
    const overlay = this.#overlays.find(({ point }) => path.startsWith(point));
    if (overlay === undefined || cut || unlinked || anonymous) return undefined;
    try {
      if (exists(`${overlay.upper}/${path.slice(overlay.point.length)}`)) return true;
      const { ino } = lstatSync(`${this.#root}${path}`, { bigint: true });
      return fileId(overlay.device, ino) === id ? false : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Throws for anything but that there is none by that name: a folder that was removed has a mark in its place. */
function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** A line of mountinfo: ID PARENT MAJOR:MINOR ROOT POINT OPTIONS ... - TYPE SOURCE OPTIONS (proc_pid_mountinfo(5)). */
function overlayOf(line: string): Overlay[] {
  const fields = line.split(" ");
  const [, , device = "", root = "", point = ""] = fields;
  const [, upperdir] = /(?:^|,)upperdir=([^,]*)/.exec(fields.at(-1) ?? "") ?? [];
  const [major, minor] = device.split(":");
  if (fields.at(-3) !== "overlay" || upperdir === undefined || major === undefined || minor === undefined) return [];
  const upper = `${unescaped(upperdir)}${root === "/" ? "" : unescaped(root)}`;
  // One that cannot be seen from here would look as if nothing was ever written.
  if (!upper.startsWith("/") || lstatSync(unescaped(upperdir), { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  const place = unescaped(point);
  return [{ point: place === "/" ? place : `${place}/`, upper, device: (BigInt(major) << 20n) | BigInt(minor) }];
}

function mountsOf(pid: number): string[] {
  const file = openSync(`/proc/${pid}/mountinfo`, "r");
  try {
    const buffer = Buffer.alloc(MAX_MOUNTS);
    let size = 0;
    for (let count = -1; count !== 0 && size < MAX_MOUNTS; size += count) count = readSync(file, buffer, size, MAX_MOUNTS - size, null);
    return buffer.toString("utf8", 0, size).split("\n").slice(0, -1);
  } finally {
    closeSync(file);
  }
}

/** Spaces and their like are written as octal numbers there. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
