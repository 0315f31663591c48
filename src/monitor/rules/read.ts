/** Files of rules: the ones that come with the product, and a user's. */
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { CofferdamError, errnoOf, packageFolder, readBounded } from "../../foundation/index.ts";
import type { NamedRules } from "./rule-set.ts";
import { rulesFileSchema } from "./schema.ts";

export const MAX_RULES_BYTES: number = 256 * 1024;

/** Throws INVALID_ARGUMENT with file:line:column, PAYLOAD_TOO_LARGE. */
export async function readRules(path: string): Promise<NamedRules> {
  return { path, file: await readYaml(path, rulesFileSchema, "a file of rules") };
}

/** Those that come with the product: from one document where they were built into one, as tools/rules.ts does. */
export async function builtInRules(): Promise<readonly NamedRules[]> {
  return (import.meta.url.endsWith(".ts") ? undefined : await builtRules()) ?? (await rulesAsWritten());
}

const builtSchema: z.ZodType<readonly NamedRules[]> = z.array(z.strictObject({ path: z.string(), file: rulesFileSchema }));

/** Without a reader of YAML, which takes 17 MB of memory for them. undefined where they were not built. */
async function builtRules(): Promise<readonly NamedRules[] | undefined> {
  try {
    return builtSchema.parse(JSON.parse(await readFile(join(packageFolder(), "dist", "rules.json"), "utf8")));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function rulesAsWritten(): Promise<readonly NamedRules[]> {
  const paths = await rulesIn(builtInFolder());
  return await Promise.all(paths.map(async (path) => ({ ...(await readRules(path)), path: `rules/${basename(path)}` })));
}

/** Paths of the files of rules in a folder; their tests are none. */
export async function rulesIn(folder: string): Promise<readonly string[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".yaml") && !name.endsWith(".test.yaml")).sort();
  return names.map((name) => join(folder, name));
}

export function builtInFolder(): string {
  return join(packageFolder(), "rules");
}

/** Throws INVALID_ARGUMENT for what is not there, no YAML or no such document; PAYLOAD_TOO_LARGE. */
export async function readYaml<T>(path: string, schema: z.ZodType<T>, what: string): Promise<T> {
  const bytes = await readBounded(path, { maxBytes: MAX_RULES_BYTES, what, followLink: true });
  if (bytes === undefined) throw new CofferdamError("INVALID_ARGUMENT", `${path}: not there`);
  const { parseYaml } = await import("./yaml.ts");
  return parseYaml(new TextDecoder("utf-8", { fatal: false }).decode(bytes), schema, path);
}
