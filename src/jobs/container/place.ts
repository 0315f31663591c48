/** Runs `cofferdam-place` (native/place): the path is looked up once, in C, and what was opened is mounted or copied. */
import { execFile } from "node:child_process";
import { z } from "zod";
import { CofferdamError, type ErrorCode } from "../../foundation/index.ts";
import { locateNative } from "./native.ts";

const TIMEOUT = 600_000;
/** Of `deliver`, which lists at most 3,000 paths. */
const MAX_OUTPUT = 16 * 2 ** 20;
const openedSchema: z.ZodType<Opened> = z.strictObject({
  device: z.number(),
  inode: z.number(),
  uid: z.number(),
  gid: z.number(),
  seconds: z.number(),
  nanoseconds: z.number(),
});
const memorySchema = z.strictObject({ noSwap: z.boolean() });
const settledSchema: z.ZodType<Settled> = z.strictObject({ owned: z.number(), setIdBits: z.number() });
const deliveredSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("written"), path: z.string() }),
  z.strictObject({ kind: z.literal("removed"), path: z.string() }),
  z.strictObject({ kind: z.literal("refused"), path: z.string(), why: z.string() }),
  z.strictObject({ kind: z.literal("done"), written: z.number(), removed: z.number(), refused: z.number() }),
]);

/** A folder of the host that was opened: its identity, whatever its path leads to by now. */
export interface Opened {
  readonly device: number;
  readonly inode: number;
  readonly uid: number;
  readonly gid: number;
  /** When its copy was begun, by the clock of file times. */
  readonly seconds: number;
  readonly nanoseconds: number;
}

export interface Settled {
  /** Entries that became the owner's. */
  readonly owned: number;
  readonly setIdBits: number;
}

/** What came over. At most 1,000 paths of each; `more` counts the others. */
export interface Delivered {
  readonly written: readonly string[];
  readonly removed: readonly string[];
  readonly refused: readonly { readonly path: string; readonly why: string }[];
  readonly more: number;
}

/** First word of a failure: what kind it is. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  LIMIT: "PAYLOAD_TOO_LARGE",
  PATH: "SECURITY_VIOLATION",
  OWNER: "FAILED_PRECONDITION",
  SYSTEM: "ENVIRONMENT_UNFIT",
};

export interface Place {
  /** An absolute path without links, that others cannot write; the folder itself is named from here. */
  readonly root: string;
  /** Relative; "." for the root itself. Any link in it is SECURITY_VIOLATION. */
  readonly path: string;
}

export interface Who {
  readonly uid: number;
  readonly gid: number;
}

export interface Bounds {
  readonly bytes: number;
  readonly entries: number;
}

export interface Delivery {
  /** The copy. */
  readonly from: string;
  readonly place: Place;
  readonly opened: Opened;
  readonly bounds: Bounds;
}

/** Mounts the folder on `target`; inside, its owner is `who`. Throws FAILED_PRECONDITION for a folder of root. */
export async function bindFolder({ root, path }: Place, target: string, who: Who, readOnly: boolean, signal: AbortSignal): Promise<Opened> {
  return one(openedSchema, await run(["bind", root, path, target, String(who.uid), String(who.gid), ...(readOnly ? ["ro"] : [])], signal));
}

/** What a job made in a bound folder becomes its owner's, without set-id bits. */
export async function settleFolder({ root, path }: Place, opened: Opened, entries: number, signal: AbortSignal): Promise<Settled> {
  return one(settledSchema, await run(["settle", root, path, String(opened.device), String(opened.inode), String(entries)], signal));
}

/** Copies it into the empty folder `target`, for `who`. What is no file, folder or link is left out, set-id bits go. */
export async function copyFolder({ root, path }: Place, target: string, who: Who, bounds: Bounds, signal: AbortSignal): Promise<Opened> {
  return one(openedSchema, await run(["copy", root, path, target, String(who.uid), String(who.gid), String(bounds.bytes), String(bounds.entries)], signal));
}

/** Takes over what changed in the copy `from` since `since` (ms), with the rights of the folder's owner. */
export async function deliverFolder({ from, place: { root, path }, opened, bounds }: Delivery, signal: AbortSignal): Promise<Delivered> {
  const numbers = [opened.device, opened.inode, bounds.bytes, bounds.entries, opened.seconds, opened.nanoseconds];
  const lines = await run(["deliver", from, root, path, ...numbers.map(String)], signal);
  const written: string[] = [];
  const removed: string[] = [];
  const refused: { path: string; why: string }[] = [];
  let total = 0;
  for (const line of lines) {
    const said = deliveredSchema.parse(JSON.parse(line));
    if (said.kind === "written") written.push(said.path);
    else if (said.kind === "removed") removed.push(said.path);
    else if (said.kind === "refused") refused.push({ path: said.path, why: said.why });
    else total = said.written + said.removed + said.refused;
  }
  return { written, removed, refused, more: total - written.length - removed.length - refused.length };
}

/** Shows a folder of ours on `target` as well. */
export async function attachFolder(from: string, target: string, signal: AbortSignal): Promise<void> {
  await run(["attach", from, target], signal);
}

/** An empty file system in memory on `target`, which only root writes. `noSwap`: the kernel keeps it out of swap. */
export async function mountMemory(
  target: string,
  { bytes, inodes }: { readonly bytes: number; readonly inodes: number },
): Promise<{ readonly noSwap: boolean }> {
  return one(memorySchema, await run(["memory", target, String(bytes), String(inodes)], new AbortController().signal));
}

/** Unmounts whatever is mounted on `target`. */
export async function releaseMount(target: string): Promise<void> {
  await run(["release", target], new AbortController().signal);
}

function one<T>(schema: z.ZodType<T>, [line = "null"]: readonly string[]): T {
  return schema.parse(JSON.parse(line));
}

async function run(args: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
  const program = locateNative("place");
  const { output, errors, failed } = await new Promise<{ output: string; errors: string; failed: boolean }>((resolve) => {
    execFile(program, [...args], { signal, timeout: TIMEOUT, maxBuffer: MAX_OUTPUT, env: {}, cwd: "/" }, (error, stdout, stderr) =>
      resolve({ output: stdout, errors: stderr, failed: error !== null }),
    );
  });
  if (!failed) return output.split("\n").filter((line) => line !== "");
  if (signal.aborted) throw new CofferdamError("CANCELLED", "cancelled while a workspace was handled");
  const [, kind = "SYSTEM", why = "no reason given"] = /^([A-Z]+) (.*)/.exec(errors) ?? [];
  throw new CofferdamError(CODES[kind] ?? "INTERNAL", `workspace: ${why.slice(0, 300)}`, { details: { control: "workspace" } });
}
