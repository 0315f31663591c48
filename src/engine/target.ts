/** Where an engine is: an address, connection settings, or those of a dockerode instance. Reads no file and opens nothing. */
import { isIP } from "node:net";
import { z } from "zod";
import { CofferdamError, parseInput } from "../foundation/index.ts";

/** PEM text or bytes, one or several. */
export type Pem = string | Uint8Array | readonly (string | Uint8Array)[];

export interface EngineAddress {
  /** A unix socket; excludes the rest. */
  readonly socketPath?: string | undefined;
  readonly host?: string | undefined;
  /** 2376 with TLS, 2375 without. */
  readonly port?: number | undefined;
  /** TLS is spoken when `ca`, `cert` or `key` is given, or `protocol` says https. Certificates are always checked. */
  readonly protocol?: "http" | "https" | undefined;
  /** Trusted instead of the built-in ones. */
  readonly ca?: Pem | undefined;
  readonly cert?: Pem | undefined;
  readonly key?: Pem | undefined;
}

/** What has a `modem` with connection settings. Nothing of it is called. */
export interface DockerodeLike {
  readonly modem: object;
}

/** `unix:///run/docker.sock`, `/run/docker.sock`, `tcp://host:2375`, `https://host:2376`, settings, or a dockerode instance. */
export type EngineTarget = string | EngineAddress | DockerodeLike;

export type Connection =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | {
      readonly kind: "tls";
      readonly host: string;
      readonly port: number;
      readonly ca: readonly Buffer[] | undefined;
      readonly cert: readonly Buffer[] | undefined;
      readonly key: readonly Buffer[] | undefined;
    };

export const DEFAULT_SOCKET = "/var/run/docker.sock";
/** What the kernel takes as the path of a unix socket, without its end. */
const MAX_SOCKET_PATH = 107;

const bytes = z.union([z.string().max(2 ** 20), z.instanceof(Uint8Array)]);
const pem = z.union([bytes, z.array(bytes).max(100)]);
const port = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d{1,5}$/)
      .transform(Number),
  ])
  .pipe(z.number().int().min(1).max(65_535));
const host = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[A-Za-z0-9._:-]+$/, "not a host name or an address");
const addressSchema = z.strictObject({
  socketPath: z.string().optional(),
  host: host.optional(),
  port: port.optional(),
  protocol: z.enum(["http", "https"]).optional(),
  ca: pem.optional(),
  cert: pem.optional(),
  key: pem.optional(),
});
/** dockerode keeps much more there; a socketPath that is a function finds the default one. */
const modemSchema = z.object({
  socketPath: z.unknown().optional(),
  host: z.unknown().optional(),
  port: port.nullish(),
  protocol: z.enum(["http", "https"], "only http and https are spoken").nullish(),
  ca: pem.nullish(),
  cert: pem.nullish(),
  key: pem.nullish(),
  pathPrefix: z.literal("", "a path before the API's own is not spoken").nullish(),
  headers: z.strictObject({}, "headers of its own are not taken over").nullish(),
});

/** Throws INVALID_ARGUMENT for what is no address, or one of a kind that is not spoken (ssh, npipe). */
export function connectionOf(target: EngineTarget): Connection {
  if (typeof target === "string") return fromText(target);
  if (typeof target === "object" && target !== null && "modem" in target) return fromModem(target.modem);
  return fromAddress(parseInput(addressSchema, target, "engine address"));
}

/** For messages: never with a key in it. */
export function describeConnection(connection: Connection): string {
  if (connection.kind === "unix") return connection.path;
  const { host: name, port: number } = connection;
  return `${connection.kind === "tls" ? "https" : "tcp"}://${name.includes(":") ? `[${name}]` : name}:${number}`;
}

function fromText(text: string): Connection {
  if (text.startsWith("/")) return unix(text);
  if (text.startsWith("unix://")) return unix(text.slice("unix://".length));
  const match = /^(tcp|http|https):\/\//.exec(text);
  const url = match === null ? null : URL.parse(text.replace(/^tcp:/, "http:"));
  if (url === null) throw refused("not an address of an engine", text.startsWith("ssh:") ? "forward its socket with ssh -L and name that" : undefined);
  if (url.username !== "" || url.password !== "" || !["", "/"].includes(url.pathname) || url.search !== "" || url.hash !== "")
    throw refused("an engine's address has a host and a port, nothing else");
  const name = url.hostname.replace(/^\[|\]$/g, "");
  const tls = match?.[1] === "https";
  // URL leaves out a port that is the scheme's own.
  const number = /:(\d+)\/?$/.exec(text)?.[1];
  return fromAddress(parseInput(addressSchema, { host: name, port: number, protocol: tls ? "https" : "http" }, "engine address"));
}

function fromModem(raw: unknown): Connection {
  const { socketPath, host: name, protocol, ...rest } = parseInput(modemSchema, raw, "settings of the dockerode instance");
  if (typeof socketPath === "string" && socketPath !== "") return unix(socketPath);
  if (typeof name !== "string" || name === "") return unix(DEFAULT_SOCKET);
  // A scheme in its host stands before its protocol.
  const [, scheme, bare = name] = /^(https?):\/\/([^/]*)\/?$/.exec(name) ?? [];
  const settings = {
    host: bare.replace(/^\[|\]$/g, ""),
    protocol: scheme ?? protocol ?? undefined,
    ca: rest.ca ?? undefined,
    cert: rest.cert ?? undefined,
    key: rest.key ?? undefined,
  };
  return fromAddress(parseInput(addressSchema, { ...settings, port: rest.port ?? undefined }, "settings of the dockerode instance"));
}

function fromAddress({ socketPath, host: name, port: number, protocol, ca, cert, key }: z.infer<typeof addressSchema>): Connection {
  const secured = ca !== undefined || cert !== undefined || key !== undefined;
  if (socketPath !== undefined) {
    if (name !== undefined || number !== undefined || protocol !== undefined || secured) throw refused("a socketPath stands alone");
    return unix(socketPath);
  }
  if (name === undefined) throw refused("a socketPath or a host is needed");
  if (name.includes(":") && isIP(name) !== 6) throw refused("a host is a name or an address, its port stands in `port`");
  if ((cert === undefined) !== (key === undefined)) throw refused("a client certificate needs both cert and key");
  if (secured && protocol === "http") throw refused("certificates with protocol http");
  if (!secured && protocol !== "https") return { kind: "tcp", host: name, port: number ?? 2375 };
  return { kind: "tls", host: name, port: number ?? 2376, ca: pieces(ca), cert: pieces(cert), key: pieces(key) };
}

function pieces(value: z.infer<typeof pem> | undefined): readonly Buffer[] | undefined {
  if (value === undefined) return undefined;
  return (Array.isArray(value) ? value : [value]).map((one) => (typeof one === "string" ? Buffer.from(one) : Buffer.from(one)));
}

function unix(path: string): Connection {
  if (!path.startsWith("/") || path.includes("\0") || Buffer.byteLength(path) > MAX_SOCKET_PATH)
    throw refused(`the path of a socket is absolute and has at most ${MAX_SOCKET_PATH} bytes`);
  return { kind: "unix", path };
}

function refused(why: string, hint = "unix:///path, tcp://host:port or https://host:port"): CofferdamError {
  return new CofferdamError("INVALID_ARGUMENT", `engine address: ${why}`, { hint });
}
