/** A package.json on the disk, as far as an inventory asks: untrusted, bounded, and never waited for. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { z } from "zod";
import { errnoOf } from "../../foundation/index.ts";
import { dependencyMap, devOnly } from "../lockfiles/npm.ts";
import { isWord, recordOf } from "../lockfiles/record.ts";

export interface InstalledManifest {
  readonly name: string | undefined;
  readonly version: string | undefined;
  readonly requires: ReadonlyMap<string, string>;
  readonly requiresForDev: ReadonlySet<string>;
}

const MAX_BYTES: number = 4 * 2 ** 20;

const word = z.string().min(1).max(8192).optional().catch(undefined);
const section = recordOf(isWord, "version ranges").optional().catch(undefined);
const schema = z.looseObject({
  name: word,
  version: word,
  dependencies: section,
  devDependencies: section,
  optionalDependencies: section,
  peerDependencies: section,
});

/**
 * What it says; undefined when there is none; in words what is wrong with it. A part that is malformed is as good as absent.
 * Synchronous: of 50,000 small files most of the time would go into waiting for turns.
 */
export function readInstalledManifest(path: string): InstalledManifest | string | undefined {
  const text = readSmall(path);
  if (typeof text !== "object") return text;
  try {
    const manifest = schema.parse(JSON.parse(text.toString("utf8").replace(/^\ufeff/, "")));
    return { name: manifest.name, version: manifest.version, requires: dependencyMap(manifest), requiresForDev: devOnly(manifest) };
  } catch {
    return "its package.json is not JSON";
  }
}

function readSmall(path: string): Buffer | string | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT") return undefined;
    return errno === "ELOOP" ? "its package.json is a link" : `its package.json cannot be read (${errno ?? "error"})`;
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) return "its package.json is no file";
    if (stat.size > MAX_BYTES) return "its package.json is larger than 4 MiB";
    const bytes = Buffer.allocUnsafe(stat.size);
    const length = readSync(file, bytes, 0, stat.size, 0);
    return bytes.subarray(0, length);
  } catch (error) {
    return `its package.json cannot be read (${errnoOf(error) ?? "error"})`;
  } finally {
    closeSync(file);
  }
}
