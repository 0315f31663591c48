/** Sources of apt on this host: sources.list, and sources.list.d in both of its forms (sources.list(5), deb822). */
import { type ConfiguredRules, type ConfiguredSet, rulesOfAddresses } from "./configured-set.ts";
import type { SetHost } from "./host.ts";

export const aptSet: ConfiguredSet = { name: "apt", what: "the sources that apt has on this host", resolve };

const FOLDER = "/etc/apt";
/** Not from the network. */
const LOCAL = /^(?:cdrom|file|copy|mirror\+file):/;

async function resolve(host: SetHost): Promise<ConfiguredRules> {
  const addresses: string[] = parseList((await host.read(`${FOLDER}/sources.list`)) ?? "");
  for (const path of await host.list(`${FOLDER}/sources.list.d`)) {
    // apt reads no other names.
    if (!/\/[A-Za-z0-9_.-]+\.(?:list|sources)$/.test(path)) continue;
    const text = (await host.read(path)) ?? "";
    addresses.push(...(path.endsWith(".list") ? parseList(text) : parseStanzas(text)));
  }
  const remote = addresses.filter((address) => !LOCAL.test(address));
  const mirrors = remote.some((address) => address.startsWith("mirror"));
  return rulesOfAddresses(
    remote.map((address) => address.replace(/^(?:mirror\+|tor\+)/, "").replace(/^mirror:/, "http:")),
    mirrors ? ["a list of mirrors: the mirrors in it are not known here"] : [],
  );
}

/** One source a line: `deb [options] uri suite component...`. */
export function parseList(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    const [, uri] = /^\s*deb(?:-src)?\s+(?:\[[^\]]*\]\s+)?(\S+)\s/.exec(line) ?? [];
    return uri === undefined ? [] : [uri];
  });
}

/** Stanzas of fields; one with `Enabled: no` is off. Continued lines begin with a space, comments with #. */
export function parseStanzas(text: string): string[] {
  const lines = text.split("\n").filter((line) => !line.startsWith("#"));
  const stanzas = lines.join("\n").split(/\n[ \t]*\n/);
  return stanzas.flatMap((stanza) => {
    const fields = new Map<string, string>();
    let last = "";
    for (const line of stanza.split("\n")) {
      const [, key, value = ""] = /^([A-Za-z0-9-]+)\s*:\s*(.*)$/.exec(line) ?? [];
      if (key !== undefined) last = key.toLowerCase();
      if (last !== "") fields.set(last, key === undefined ? `${fields.get(last) ?? ""} ${line.trim()}` : value);
    }
    if (/^(?:no|false|without|off|disable)$/i.test((fields.get("enabled") ?? "").trim())) return [];
    return (fields.get("uris") ?? "").split(/\s+/).filter((uri) => uri !== "");
  });
}
