/** npm's own extractor on an archive, with the rules that npm gives it, and archives with an edited header. */
import { hash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Entry {
  readonly type: string;
  path: string;
}
interface Extractor {
  x(options: object): Promise<void>;
}

/** Path to SHA-256 (base64) of every file that npm would write. */
export async function npmExtract(archive: Buffer): Promise<Record<string, string>> {
  const extractor: Extractor = createRequire(import.meta.url)("../../tools/runtime/node_modules/npm/node_modules/tar");
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-npmtar-"));
  try {
    const target = join(folder, "out");
    mkdirSync(target);
    writeFileSync(join(folder, "a.tgz"), archive);
    await extractor.x({ file: join(folder, "a.tgz"), cwd: target, strip: 1, noChmod: true, noMtime: true, preserveOwner: false, filter: pacoteFilter() });
    const written = readdirSync(target, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const paths = written.map((entry) => join(entry.parentPath, entry.name)).sort();
    return Object.fromEntries(paths.map((path) => [path.slice(target.length + 1), hash("sha256", readFileSync(path), "base64")]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** As in pacote's fetcher: no links, no empty folders, .gitignore becomes .npmignore unless one was seen before. */
function pacoteFilter(): (path: string, entry: Entry) => boolean {
  const seen = new Set<string>();
  return (_path, entry) => {
    if (!/File$/.test(entry.type)) return false;
    const base = entry.path.slice(entry.path.lastIndexOf("/") + 1);
    if (base === ".npmignore") seen.add(entry.path);
    if (base !== ".gitignore") return true;
    const renamed = entry.path.replace(/\.gitignore$/, ".npmignore");
    if (seen.has(renamed)) return false;
    entry.path = renamed;
    return true;
  };
}

/** A tar with one header block edited and its checksum made right again. */
export function withHeader(bytes: Buffer, block: number, edit: (header: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  const header = copy.subarray(block * 512, (block + 1) * 512);
  edit(header);
  header.write("        ", 148);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return copy;
}
