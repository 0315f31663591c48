/**
 * One rule as it is written: `github.com`, `*.githubusercontent.com`, `host:port`, `host:port/udp`, `203.0.113.0/24:443`,
 * `[2001:db8::]/32:443`. `/private` behind a name lets it lead to a private address. `api.example POST /x` allows requests, not
 * connections: `api.example:8443 GET,HEAD /v1/*`, `api.example * /public/*`.
 */
import { CofferdamError } from "../../foundation/index.ts";
import { type Block, parseAddress, requireBlock } from "./address.ts";
import { requireName } from "./name.ts";

export type Protocol = "tcp" | "udp";

/** `suffix`: every name below it, not itself. */
export type RuleTarget = { readonly kind: "name" | "suffix"; readonly name: string } | { readonly kind: "block"; readonly block: Block };

export interface Rule {
  /** As it was written. */
  readonly text: string;
  readonly target: RuleTarget;
  /** Undefined: see {@link NetworkPolicy.allowedPorts}; of a denial: every port. */
  readonly port: number | undefined;
  /** Undefined, of a denial only: both. */
  readonly protocol: Protocol | undefined;
  /** The name may lead to a private address. */
  readonly private: boolean;
  /** Only such requests. */
  readonly request?: RequestPattern | undefined;
}

export interface RequestPattern {
  /** Undefined: every one. */
  readonly methods: ReadonlySet<string> | undefined;
  /** Of the request, without its query; all that begin so when `prefix`. */
  readonly path: string;
  readonly prefix: boolean;
}

/** Longest rule: a name, a port and the words behind it, a path. */
export const MAX_RULE_LENGTH = 1000;

/** Top-level names that nobody can register, which a house uses for its own (RFC 6762 appendix G, RFC 2606, ICANN 2024). */
const HOUSE_NAMES: ReadonlySet<string> = new Set(["intranet", "internal", "private", "corp", "home", "lan", "test"]);

/** Throws INVALID_ARGUMENT with what is wrong and how it is written. @param verdict a denial may leave the protocol open. */
export function parseRule(text: string, verdict: "allow" | "deny"): Rule {
  const what = JSON.stringify(text.slice(0, 80));
  const wrong = (problem: string, hint?: string): CofferdamError =>
    new CofferdamError("INVALID_ARGUMENT", `${what}: ${problem}`, hint === undefined ? {} : { hint });
  if (text.length > MAX_RULE_LENGTH) throw wrong(`a rule has at most ${MAX_RULE_LENGTH} characters`);
  if (text.includes("://")) throw wrong("not an address of the web but a name", "write it like host.example:443");
  const [place = "", ...requestParts] = text.split(" ");
  const request = requestParts.length === 0 ? undefined : (patternOf(requestParts) ?? wrongRequest(wrong));
  const { rest, words } = wordsBehind(place);
  const { host, port: portText } = hostAndPort(rest);
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && (port < 1 || port > 65_535)) throw wrong("a port is 1 to 65535");
  if (words.includes("udp") && words.includes("tcp")) throw wrong("one rule is for one protocol");
  const named = words.includes("udp") ? "udp" : words.includes("tcp") ? "tcp" : undefined;
  const protocol = named ?? (verdict === "allow" || port !== undefined ? "tcp" : undefined);
  if (named === "udp" && port === undefined && verdict === "allow") throw wrong("udp is opened for one port", `write ${host}:PORT/udp`);
  const target = targetOf(host, what, verdict);
  if (words.includes("private") && (target.kind === "block" || verdict === "deny")) throw wrong("/private stands behind a name that is allowed");
  if (request !== undefined && (target.kind === "block" || verdict === "deny" || protocol !== "tcp"))
    throw wrong("only a name that is allowed has rules for requests", "a denial is of the whole host");
  return { text, target, port, protocol, private: words.includes("private"), ...(request === undefined ? {} : { request }) };
}

/** `METHOD[,METHOD] /path`; undefined for what is none. A path that servers read in two ways is none. */
function patternOf([methods = "", path = "", ...more]: readonly string[]): RequestPattern | undefined {
  if (more.length > 0 || !/^(?:\*|[A-Z]+(?:,[A-Z]+)*)$/.test(methods) || !/^\/[\x21-\x7e]*$/.test(path)) return undefined;
  const prefix = path.endsWith("*");
  const literal = prefix ? path.slice(0, -1) : path;
  if (/[*?#]/.test(literal) || !isPlainPath(literal)) return undefined;
  return { methods: methods === "*" ? undefined : new Set(methods.split(",")), path: literal, prefix };
}

function wrongRequest(wrong: (problem: string, hint?: string) => CofferdamError): never {
  throw wrong("that is no rule for requests", "write it like api.example POST /x, or api.example GET,HEAD /v1/*");
}

/** A path that means the same to every server: no dots, slashes or backslashes that one would resolve and another would not. */
export function isPlainPath(path: string): boolean {
  return !/\/\/|\/\.{1,2}(?:\/|$|;)|%(?:2e|2f|5c|00)|\\|;/i.test(path);
}

/** Whether a text is a rule that allows. */
export function isReadableRule(text: string): boolean {
  try {
    parseRule(text, "allow");
    return true;
  } catch (error) {
    if (error instanceof CofferdamError) return false;
    throw error;
  }
}

/** One place as a rule names it: `host:port`, `[2001:db8::1]:port`, `host:port/udp`. */
export function placeText(host: string, port: number, protocol: Protocol = "tcp"): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}${protocol === "udp" ? "/udp" : ""}`;
}

function targetOf(host: string, what: string, verdict: "allow" | "deny"): RuleTarget {
  if (host.includes("/") || parseAddress(host) !== undefined) return { kind: "block", block: requireBlock(host, what) };
  if (!host.startsWith("*.")) {
    if (host === "*" && verdict === "allow")
      throw new CofferdamError("INVALID_ARGUMENT", `${what}: every name is not a rule`, { hint: "mode relaxed lets a job reach the internet" });
    return { kind: "name", name: requireName(host, what) };
  }
  const name = requireName(host.slice(2), what);
  if (verdict === "allow" && !name.includes(".") && !HOUSE_NAMES.has(name))
    throw new CofferdamError("INVALID_ARGUMENT", `${what}: that is everybody's names`, { hint: "name the domain below it: *.host.example" });
  return { kind: "suffix", name };
}

function wordsBehind(text: string): { readonly rest: string; readonly words: readonly string[] } {
  const words: string[] = [];
  let rest = text;
  for (;;) {
    const [, head, word] = /^(.+)\/(udp|tcp|private)$/.exec(rest) ?? [];
    if (head === undefined || word === undefined || words.includes(word)) return { rest, words };
    words.push(word);
    rest = head;
  }
}

function hostAndPort(text: string): { readonly host: string; readonly port: string | undefined } {
  const bracketed = /^\[([^\]]*)\](\/\d{1,3})?(?::(\d{1,5}))?$/.exec(text);
  if (bracketed !== null) return { host: `${bracketed[1] ?? ""}${bracketed[2] ?? ""}`, port: bracketed[3] };
  // Two colons and no bracket: an address of IPv6, whose last group is no port.
  const [, host, port] = text.indexOf(":") === text.lastIndexOf(":") ? (/^(.*):(\d{1,5})$/.exec(text) ?? []) : [];
  return host === undefined ? { host: text, port: undefined } : { host, port };
}
