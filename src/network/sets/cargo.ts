/**
 * Cargo's registries: those of its configuration and environment, and those that it used on this host, whose configuration it
 * keeps. Its own default is told by nothing but a download, so a host whose cargo never ran has none.
 */
import { join } from "node:path";
import { type ConfiguredRules, type ConfiguredSet, rulesOfAddresses } from "./configured-set.ts";
import type { SetHost } from "./host.ts";
import { objectOf } from "./npm.ts";

export const cargoSet: ConfiguredSet = { name: "cargo", what: "the registries that cargo is set to here, or has used", resolve };

async function resolve(host: SetHost): Promise<ConfiguredRules> {
  const home = host.env["CARGO_HOME"] ?? join(host.home, ".cargo");
  const file = (await host.read(join(home, "config.toml"))) ?? (await host.read(join(home, "config"))) ?? "";
  const fromEnv = Object.entries(host.env).flatMap(([name, value]) => (/^CARGO_REGISTRIES_[A-Z0-9_]+_INDEX$/.test(name) && value !== undefined ? [value] : []));
  const used = await usedRegistries(host, home);
  const addresses = [...indexesOf(file), ...fromEnv].map((text) => text.replace(/^(?:sparse|registry)\+/, "")).filter((text) => !text.startsWith("file:"));
  const { rules, notes } = rulesOfAddresses([...addresses, ...used]);
  return rules.length > 0 ? { rules, notes } : { rules, notes: [...notes, "cargo is set to no registry, and has used none here; its own default is not told"] };
}

/** `index` and `registry` of [registries.NAME] and [source.NAME], by line: other keys are not looked at. */
function indexesOf(text: string): readonly string[] {
  const found: string[] = [];
  let table = "";
  for (const line of text.split("\n")) {
    const [, header] = /^\s*\[\s*([^[\]]+?)\s*\]\s*(?:#.*)?$/.exec(line) ?? [];
    if (header !== undefined) table = header;
    const [, key = "", value = ""] = /^\s*([A-Za-z0-9_."'-]+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (key === "" || line.trimStart().startsWith("#")) continue;
    const path = table === "" ? key : `${table}.${key}`;
    if (!/^(?:registries|source)\b/.test(path)) continue;
    const texts = /^\{/.test(value)
      ? [...value.matchAll(/\b(?:index|registry)\s*=\s*(["'])(.*?)\1/g)]
      : /\.(?:index|registry)$/.test(path)
        ? [.../^(["'])(.*?)\1/g[Symbol.matchAll](value)]
        : [];
    found.push(...texts.flatMap(([, , address]) => (address === undefined ? [] : [address])));
  }
  return found;
}

/** Registries that cargo keeps an index of: their folder is named after the host, and holds their own configuration. */
async function usedRegistries(host: SetHost, home: string): Promise<readonly string[]> {
  const addresses: string[] = [];
  for (const folder of await host.list(join(home, "registry", "index"))) {
    const config = objectOf((await host.read(join(folder, "config.json"))) ?? "");
    if (config === undefined) continue;
    const [, name] = /\/([a-z0-9.-]+)-[0-9a-f]{16}$/.exec(folder) ?? [];
    if (name !== undefined) addresses.push(`https://${name}`);
    for (const key of ["dl", "api"]) {
      const value = config[key];
      if (typeof value === "string") addresses.push(value);
    }
  }
  return addresses;
}
