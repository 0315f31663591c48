/**
 * The head of an HTTP/1 request (RFC 9112), read so that every server reads the same: one Host, one length, no folded lines, no
 * bare line ends. Everything else passes as it is.
 */
import { formatAddress, normalName, parseAddress } from "../rules/index.ts";

export interface RequestHead {
  readonly method: string;
  /** As it was sent. */
  readonly target: string;
  /** Normal form of a name, or an address as {@link formatAddress} writes it. */
  readonly host: string;
  readonly hostIsAddress: boolean;
  /** Undefined when Host has none. */
  readonly port: number | undefined;
  /** `http://...` instead of a path, as one asks a proxy. */
  readonly absolute: boolean;
  /** The job asks for WebSocket frames from here on. */
  readonly upgrade: boolean;
  /** Asks the server for another method or path than the first line does (X-HTTP-Method-Override and the like). */
  readonly overrides: boolean;
  /** Bytes of the body, or in chunks. */
  readonly body: number | "chunked";
}

/** Why a head is not let through. */
export interface HeadFault {
  readonly reason: "bad-request" | "no-host" | "h2c" | "not-http";
  /** What of it, for {@link refusalMessage}. */
  readonly rule: string;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const REQUEST_LINE = new RegExp(`^(${TOKEN}) ([\\x21-\\x7e\\x80-\\xff]+) HTTP/(\\d)\\.(\\d)$`);
/** All lines behind the first, each with its end. */
const FIELDS = new RegExp(`^(?:${TOKEN}:[\\t\\x20-\\x7e\\x80-\\xff]*\\r\\n)*$`);
const NOTED = /(?:^|\n)(host|content-length|transfer-encoding|upgrade|connection|http2-settings):[ \t]*([^\r]*)/gi;
const OVERRIDES = /(?:^|\n)x[-_](?:http[-_]method(?:[-_]override)?|method[-_]override|original[-_]url|rewrite[-_]url):/i;
const MAX_LENGTH_DIGITS = 15;

/** What the fields say, whatever the first line is. */
interface Fields {
  readonly noted: Noted;
  /** What Host names; undefined when that is no host. */
  readonly named: Named | undefined;
  readonly overrides: boolean;
}

/** Longest fields that are remembered of a connection. */
const MAX_REMEMBERED = 4096;

/** Heads of one connection. Clients send the same fields with each request of it, and what was read of those stands as long as they do. */
export class RequestHeads {
  #last: { readonly text: string | undefined; readonly fields: Fields | HeadFault } | undefined;

  /** @param text the head in Latin-1, up to its empty line and without it. */
  read(text: string): RequestHead | HeadFault {
    const lineEnd = text.indexOf("\r\n");
    const line = lineEnd < 0 ? text : text.slice(0, lineEnd);
    const [, method = "", target = "", major, minor] = REQUEST_LINE.exec(line) ?? [];
    if (method === "") return { reason: "not-http", rule: "no request line" };
    if (major === "2" || method === "PRI") return { reason: "h2c", rule: "HTTP/2 without TLS" };
    if (major !== "1" || (minor !== "1" && minor !== "0")) return bad("the version of HTTP");
    const fields = this.#fieldsOf(lineEnd < 0 ? undefined : text.slice(lineEnd + 2));
    if ("reason" in fields) return fields;
    const { noted, named, overrides } = fields;
    const body = bodyOf(noted, minor);
    if (typeof body === "string" && body !== "chunked") return bad(body);
    if (noted.upgrade !== undefined && (method !== "GET" || body !== 0)) return bad("Upgrade with a body");
    const authority = authorityOf(method, target, noted.host, named);
    if ("reason" in authority) return authority;
    return { method, target, ...authority, upgrade: noted.upgrade !== undefined, overrides, body };
  }

  /** @param text undefined: there are none. */
  #fieldsOf(text: string | undefined): Fields | HeadFault {
    if (this.#last !== undefined && this.#last.text === text) return this.#last.fields;
    const fields = readFields(text === undefined ? "" : `${text}\r\n`);
    this.#last = (text?.length ?? 0) > MAX_REMEMBERED ? undefined : { text, fields };
    return fields;
  }
}

function readFields(text: string): Fields | HeadFault {
  if (!FIELDS.test(text)) return bad("a header line");
  const noted = notedFields(text);
  if (typeof noted === "string") return bad(noted);
  if (noted.upgrade !== undefined || noted.http2Settings !== undefined) {
    if (noted.http2Settings !== undefined || /\bh2c?\b/i.test(noted.upgrade ?? "")) return { reason: "h2c", rule: "Upgrade" };
    if (noted.upgrade?.toLowerCase() !== "websocket") return bad("Upgrade to something else than websocket");
  }
  return { noted, named: noted.host === undefined ? undefined : readAuthority(noted.host), overrides: OVERRIDES.test(text) };
}

function bad(rule: string): HeadFault {
  return { reason: "bad-request", rule };
}

interface Noted {
  readonly host: string | undefined;
  readonly upgrade: string | undefined;
  readonly http2Settings: string | undefined;
  readonly length: string | undefined;
  readonly encoding: string | undefined;
}

/** The fields that matter, or what is wrong with them. */
function notedFields(fields: string): Noted | string {
  const found = new Map<string, string>();
  for (const [, name = "", value = ""] of fields.matchAll(NOTED)) {
    const key = name.toLowerCase();
    // Connection is a list and may come twice; the others mean two things then.
    if (found.has(key) && key !== "connection") return `two ${name} fields`;
    found.set(key, `${found.has(key) ? `${found.get(key)},` : ""}${value.trim()}`);
  }
  // A proxy behind us would take away what Connection names.
  if (/(?:^|[,\s])(?:host|content-length|transfer-encoding)(?:$|[,\s])/i.test(found.get("connection") ?? "")) return "Connection";
  return {
    host: found.get("host"),
    upgrade: found.get("upgrade"),
    http2Settings: found.get("http2-settings"),
    length: found.get("content-length"),
    encoding: found.get("transfer-encoding"),
  };
}

function bodyOf({ length, encoding }: Noted, minor: string | undefined): RequestHead["body"] | string {
  if (encoding !== undefined) {
    if (length !== undefined) return "Content-Length beside Transfer-Encoding";
    if (encoding.toLowerCase() !== "chunked" || minor === "0") return "Transfer-Encoding";
    return "chunked";
  }
  if (length === undefined) return 0;
  return /^\d+$/.test(length) && length.length <= MAX_LENGTH_DIGITS ? Number(length) : "Content-Length";
}

type Authority = Pick<RequestHead, "host" | "hostIsAddress" | "port" | "absolute">;
type Named = Omit<Authority, "absolute">;

function authorityOf(method: string, target: string, host: string | undefined, named: Named | undefined): Authority | HeadFault {
  if (method === "CONNECT") {
    const asked = readAuthority(target);
    return asked?.port === undefined ? bad("CONNECT") : { ...asked, absolute: false };
  }
  if (host === undefined || host === "") return { reason: "no-host", rule: "Host" };
  if (named === undefined) return bad("Host");
  if (target.startsWith("/") || (target === "*" && method === "OPTIONS")) return { ...named, absolute: false };
  const [, inTarget = ""] = /^http:\/\/([^/?#]*)(?:[/?]|$)/i.exec(target) ?? [];
  const asked = readAuthority(inTarget);
  if (asked === undefined) return bad("the request's target");
  if (asked.host !== named.host || (asked.port ?? 80) !== (named.port ?? 80)) return bad("a target with another host than Host");
  return { ...asked, absolute: true };
}

/** `host`, `host:port`, `[v6]:port`; undefined for user names and everything else. */
export function readAuthority(text: string): Named | undefined {
  const [, bracketed, plain = "", digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]@]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  const address = parseAddress(bracketed ?? plain);
  if (address !== undefined)
    return (address.family === 6) === (bracketed !== undefined) ? { host: formatAddress(address), hostIsAddress: true, port } : undefined;
  const name = bracketed === undefined ? normalName(plain) : undefined;
  return name === undefined ? undefined : { host: name, hostIsAddress: false, port };
}
