/**
 * Which repository files may loosen: those whose exact bytes the user has trusted. The record lives in the user's own
 * configuration folder and is keyed by path and SHA-256, so that any edit takes the trust away.
 */
import { constants } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { CofferdamError, newId, readBounded } from "../foundation/index.ts";

interface TrustRecord {
  readonly path: string;
  readonly sha256: string;
  readonly since: string;
}

const schema: z.ZodType<{ version: 1; files: TrustRecord[] }> = z.strictObject({
  version: z.literal(1),
  files: z.array(z.strictObject({ path: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/), since: z.string() })).max(10_000),
});

export class TrustStore {
  readonly #path: string;

  /** @param configFolder the user's own, `~/.config/cofferdam`. */
  constructor(configFolder: string) {
    this.#path = join(configFolder, "trusted.json");
  }

  async isTrusted(path: string, sha256: string): Promise<boolean> {
    return (await this.#read()).some((record) => record.path === path && record.sha256 === sha256);
  }

  /** Trusts these exact bytes at this place; an older version of the same file is forgotten. */
  async trust(path: string, sha256: string, since: string): Promise<void> {
    const others = (await this.#read()).filter((record) => record.path !== path);
    await this.#write([...others, { path, sha256, since }]);
  }

  async #read(): Promise<TrustRecord[]> {
    const bytes = await readBounded(this.#path, { maxBytes: 4 * 2 ** 20, what: "trust record" });
    if (bytes === undefined) return [];
    try {
      return schema.parse(JSON.parse(bytes.toString("utf8"))).files;
    } catch (error) {
      throw new CofferdamError("INVALID_ARGUMENT", `the trust record is damaged: ${this.#path}`, {
        hint: "delete it and trust your files again (cofferdam policy trust)",
        cause: error,
      });
    }
  }

  async #write(files: TrustRecord[]): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const next = `${this.#path}.${newId("new")}`;
    const file = await open(next, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
    try {
      await file.writeFile(`${JSON.stringify({ version: 1, files }, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, this.#path).catch(async (error: unknown) => {
      await rm(next, { force: true });
      throw error;
    });
  }
}
