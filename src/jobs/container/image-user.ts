/**
 * Who the image's USER is. Names are the image's own (a `node` may be uid 0, a `root` uid 1000), and whose a workspace is has
 * to be known before anything starts. So a container is made, never started, and its /etc/passwd and /etc/group are read as
 * what they are: a stranger's files. Sources: passwd(5), group(5); moby's rules for `User` (opencontainers/runc libcontainer/user).
 */
import type { Readable } from "node:stream";
import type { ContainerEngine } from "../../engine/index.ts";
import { CofferdamError } from "../../foundation/index.ts";

export interface ImageUser {
  readonly uid: number;
  readonly gid: number;
  /** As its passwd names it; absent when it names none that is absolute. */
  readonly home?: string;
}

const BLOCK = 512;
const MAX_FILE = 1 << 20;
const MAX_ID = 0xfffffffe;

/**
 * @param user the image's USER: `name`, `uid`, `name:group`, `uid:gid`.
 * Throws FAILED_PRECONDITION when the image does not know a name that it uses.
 */
export async function resolveImageUser(engine: ContainerEngine, imageId: string, user: string, signal: AbortSignal): Promise<ImageUser> {
  const [who = "", group] = user.split(":");
  if (who === "" || who === "0") return { uid: 0, gid: 0, home: "/root" };
  const { Id } = await engine.containers.create({ Image: imageId, Entrypoint: ["/never-started"], HostConfig: { NetworkMode: "none" } }, { signal });
  try {
    const passwd = (await linesOf(engine, Id, "/etc/passwd", signal)).map(([name, , uid, gid, , home]) => ({ name, uid: idOf(uid), gid: idOf(gid), home }));
    const groups = group === undefined || idOf(group) !== undefined ? [] : await linesOf(engine, Id, "/etc/group", signal);
    const entry = passwd.find(({ name, uid }) => name === who || (uid !== undefined && uid === idOf(who)));
    const uid = entry?.uid ?? idOf(who);
    if (uid === undefined) throw unknown("user", who);
    const named = group === undefined ? entry?.gid : (idOf(group) ?? idOf(groups.find(([name]) => name === group)?.[2]));
    if (group !== undefined && named === undefined) throw unknown("group", group);
    const home = entry?.home?.startsWith("/") === true ? { home: entry.home } : {};
    // A uid that the image does not know gets no group of root.
    return { uid, gid: named ?? uid, ...home };
  } finally {
    await engine.containers.remove(Id, { force: true, volumes: true });
  }
}

/** Fields by line. A file that is not there, or is no plain file, has none. */
async function linesOf(engine: ContainerEngine, id: string, path: string, signal: AbortSignal): Promise<string[][]> {
  try {
    const { tar } = await engine.containers.getArchive(id, path, { signal });
    return (await plainFile(tar)).split("\n").map((line) => line.split(":"));
  } catch (error) {
    if (error instanceof CofferdamError && error.code === "NOT_FOUND") return [];
    throw error;
  }
}

/** The first entry of a tar, when it is a plain file (POSIX ustar: type at 156, size in octal at 124). */
async function plainFile(tar: Readable): Promise<string> {
  let bytes = Buffer.alloc(0);
  let size: number | undefined;
  for await (const piece of tar) {
    bytes = Buffer.concat([bytes, piece]);
    if (size === undefined && bytes.length >= BLOCK) size = sizeOf(bytes.subarray(0, BLOCK));
    if (size !== undefined && bytes.length >= BLOCK + size) break;
    if (bytes.length > BLOCK + MAX_FILE) throw new CofferdamError("PAYLOAD_TOO_LARGE", "the image's list of users is larger than 1 MiB");
  }
  tar.destroy();
  return bytes.subarray(BLOCK, BLOCK + (size ?? 0)).toString("utf8");
}

function sizeOf(header: Buffer): number {
  const type = header.toString("latin1", 156, 157);
  if (type !== "0" && type !== "\0") return 0;
  const size = Number.parseInt(header.toString("latin1", 124, 135), 8);
  if (!(size <= MAX_FILE)) throw new CofferdamError("PAYLOAD_TOO_LARGE", "the image's list of users is larger than 1 MiB");
  return size;
}

function idOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) <= MAX_ID ? Number(text) : undefined;
}

function unknown(what: string, name: string): CofferdamError {
  return new CofferdamError("FAILED_PRECONDITION", `the image runs as ${what} ${JSON.stringify(name)}, which it does not know`, {
    hint: "name a uid and gid for the job",
  });
}
