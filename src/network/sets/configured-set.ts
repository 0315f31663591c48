/** A set that is found out at run time: what a client, or this host, is set to. */
import { normalName, parseAddress } from "../rules/index.ts";
import type { SetHost } from "./host.ts";

export interface ConfiguredRules {
  /** `host:port`. Empty when nothing is set and the client does not tell its own default. */
  readonly rules: readonly string[];
  /** What is set but opens nothing, and why. */
  readonly notes: readonly string[];
}

export interface ConfiguredSet {
  readonly name: string;
  readonly what: string;
  readonly resolve: (host: SetHost) => Promise<ConfiguredRules>;
}

const MAX_ADDRESSES = 500;
const PORTS: Readonly<Record<string, number>> = { "https:": 443, "http:": 80 };

/** Addresses of the web as rules: where they lead, and nothing of what else they hold. */
export function rulesOfAddresses(addresses: Iterable<string>, notes: readonly string[] = []): ConfiguredRules {
  const rules = new Set<string>();
  const told = [...notes];
  for (const text of addresses) {
    if (rules.size + told.length >= MAX_ADDRESSES) {
      told.push(`only the first ${MAX_ADDRESSES} addresses count`);
      break;
    }
    const url = URL.parse(text.trim());
    const port = url === null ? undefined : url.port === "" ? PORTS[url.protocol] : Number(url.port);
    if (url === null || port === undefined) {
      told.push(`${JSON.stringify(shown(text))} is no address of the web`);
      continue;
    }
    const place = url.hostname.replace(/^\[|\]$/g, "");
    const name = parseAddress(place) === undefined ? normalName(place) : undefined;
    if (name !== undefined) rules.add(`${name}:${port}`);
    else told.push(`${JSON.stringify(shown(text))} is not by a name: allow its address by a rule`);
  }
  return { rules: [...rules], notes: told };
}

/** Without what may be a password in it. */
function shown(text: string): string {
  return text
    .trim()
    .replace(/\/\/[^/@]*@/, "//")
    .slice(0, 100);
}
