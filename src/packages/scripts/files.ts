/** Files of a package for people to read: from its verified tarball where the store has it, else from its folder. */
import { createHash } from "node:crypto";
import { createReadStream, realpathSync } from "node:fs";
import { constants, open } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { CofferdamError } from "../../foundation/index.ts";
import { TarReader } from "../../integrity/index.ts";

export interface ShownFile {
  /** From the package's folder. */
  readonly path: string;
  readonly text: string;
  readonly bytes: number;
  /** True when only the beginning is there. */
  readonly cut: boolean;
}

export interface PackageFiles {
  readonly source: "verified tarball" | "folder";
  /** The first of these paths that is a file. */
  first(paths: readonly string[], maxBytes: number): Promise<ShownFile | undefined>;
}

/** Throws INTEGRITY_FAILURE when the content is not what its digest says, and what a broken archive throws. */
export function tarballFiles(path: string, sha512: string): PackageFiles {
  return {
    source: "verified tarball",
    async first(paths, maxBytes) {
      const found = await readTarball(path, sha512, paths, maxBytes);
      return paths.map((one) => found.get(one)).find((file) => file !== undefined);
    },
  };
}

async function readTarball(path: string, sha512: string, paths: readonly string[], maxBytes: number): Promise<ReadonlyMap<string, ShownFile>> {
  const wanted = new Set(paths);
  const found = new Map<string, ShownFile>();
  let current: { readonly path: string; readonly size: number; readonly pieces: Buffer[]; length: number } | undefined;
  const reader = new TarReader({
    entry: (entry) => {
      const inside = entry.path.slice(entry.path.indexOf("/") + 1);
      current = entry.type === "file" && wanted.has(inside) ? { path: inside, size: entry.size, pieces: [], length: 0 } : undefined;
    },
    data: (piece) => {
      if (current === undefined || current.length >= maxBytes) return;
      const part = piece.subarray(0, maxBytes - current.length);
      current.pieces.push(Buffer.from(part));
      current.length += part.length;
    },
    end: () => {
      if (current !== undefined) found.set(current.path, shown(current.path, Buffer.concat(current.pieces), current.size));
      current = undefined;
    },
  });
  const digest = createHash("sha512");
  await pipeline(
    createReadStream(path),
    async function* (packed: AsyncIterable<Buffer>) {
      for await (const piece of packed) {
        digest.update(piece);
        yield piece;
      }
    },
    createGunzip(),
    async (pieces: AsyncIterable<Buffer>) => {
      for await (const piece of pieces) reader.push(piece);
      reader.finish();
    },
  );
  if (digest.digest("hex") !== sha512)
    throw new CofferdamError("INTEGRITY_FAILURE", "the tarball in the store is damaged", { hint: "install again; it is fetched anew" });
  return found;
}

/** Files of an installed package, or of own code. Links that lead out of the folder are not followed. */
export function folderFiles(folder: string): PackageFiles {
  return {
    source: "folder",
    async first(paths, maxBytes) {
      for (const path of paths) {
        const file = await readInside(folder, path, maxBytes);
        if (file !== undefined) return file;
      }
      return undefined;
    },
  };
}

async function readInside(folder: string, path: string, maxBytes: number): Promise<ShownFile | undefined> {
  let real: string;
  try {
    real = realpathSync(join(folder, path));
    if (!real.startsWith(`${realpathSync(folder)}/`)) return undefined;
  } catch {
    // There is none of that name.
    return undefined;
  }
  const file = await open(real, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    const stat = await file.stat();
    if (!stat.isFile()) return undefined;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(maxBytes, stat.size)), 0, null, 0);
    return shown(path, buffer.subarray(0, bytesRead), stat.size);
  } finally {
    await file.close();
  }
}

function shown(path: string, bytes: Buffer, size: number): ShownFile {
  return { path, text: bytes.toString("utf8"), bytes: size, cut: bytes.length < size };
}
