/** From npm's configuration to connections: registries, credentials by address, proxies, certificates. */
import { readFileSync } from "node:fs";
import { CofferdamError, errnoOf } from "../../foundation/index.ts";
import type { UpstreamSettings } from "../gate/upstream.ts";
import { lookUp, type NpmrcFile } from "./npmrc.ts";
import { Secret } from "./secret.ts";

export interface RegistrySettings {
  /** Undefined: the client's own default, which the caller asks the client for. */
  readonly registry: string | undefined;
  /** Scope (`@acme`) to address. */
  readonly scopes: ReadonlyMap<string, string>;
}

/** Default registry and scoped ones that these files name, the strongest file first. */
export function registrySettings(files: readonly NpmrcFile[]): RegistrySettings {
  const scopes = new Map<string, string>();
  for (const file of files) {
    for (const { key, value } of file.entries) {
      const scope = /^(@[^:]+):registry$/.exec(key)?.[1];
      if (scope !== undefined && typeof value === "string" && !scopes.has(scope)) scopes.set(scope, value);
    }
  }
  return { registry: text(lookUp(files, "registry")), scopes };
}

/** Connection settings out of trusted files only. Throws INVALID_ARGUMENT for a CA or certificate file that cannot be read. */
export function connectionSettings(files: readonly NpmrcFile[], env: Readonly<NodeJS.ProcessEnv>, userAgent: string): UpstreamSettings {
  const noProxy = (text(lookUp(files, "noproxy")) ?? text(lookUp(files, "no-proxy")) ?? env["NO_PROXY"] ?? env["no_proxy"] ?? "")
    .split(",")
    .map((item) => item.trim());
  const httpsProxy = text(lookUp(files, "https-proxy")) ?? env["HTTPS_PROXY"] ?? env["https_proxy"];
  const httpProxy = text(lookUp(files, "proxy")) ?? env["HTTP_PROXY"] ?? env["http_proxy"];
  return {
    authorization: (url) => authorization(files, url)?.reveal(),
    clientCertificate: (url) => clientCertificate(files, url),
    proxyFor: (url) => {
      if (skipsProxy(url, noProxy)) return undefined;
      // npm uses `proxy` for https too when https-proxy is not set.
      const proxy = url.protocol === "https:" ? (httpsProxy ?? httpProxy) : httpProxy;
      return proxy === "" || proxy === "null" || proxy === "false" ? undefined : proxy;
    },
    ca: certificates(files, env),
    verifyTls: text(lookUp(files, "strict-ssl")) !== "false",
    userAgent,
  };
}

/** The credential of the longest address prefix (npm's "nerf dart", `//host/path/`) that covers a URL. */
function authorization(files: readonly NpmrcFile[], url: URL): Secret | undefined {
  for (const prefix of prefixes(url)) {
    const token = text(lookUp(files, `${prefix}:_authToken`));
    if (token !== undefined) return new Secret(`Bearer ${token}`);
    const auth = text(lookUp(files, `${prefix}:_auth`));
    if (auth !== undefined) return new Secret(`Basic ${auth}`);
    const user = text(lookUp(files, `${prefix}:username`));
    const password = text(lookUp(files, `${prefix}:_password`));
    if (user !== undefined && password !== undefined) {
      return new Secret(`Basic ${Buffer.from(`${user}:${Buffer.from(password, "base64").toString("utf8")}`).toString("base64")}`);
    }
  }
  return undefined;
}

function clientCertificate(files: readonly NpmrcFile[], url: URL): { cert: string; key: string } | undefined {
  for (const prefix of prefixes(url)) {
    const cert = text(lookUp(files, `${prefix}:certfile`));
    const key = text(lookUp(files, `${prefix}:keyfile`));
    if (cert !== undefined && key !== undefined) return { cert: readPem(cert), key: readPem(key) };
  }
  return undefined;
}

/** `//host:port/a/b/`, `//host:port/a/`, `//host:port/`, each also without its last slash. */
function* prefixes(url: URL): Generator<string> {
  let path = url.pathname.endsWith("/") ? url.pathname : url.pathname.slice(0, url.pathname.lastIndexOf("/") + 1);
  for (;;) {
    yield `//${url.host}${path}`;
    if (path !== "/") yield `//${url.host}${path.replace(/\/$/, "")}`;
    if (path === "/") {
      yield `//${url.host}`;
      return;
    }
    path = path.slice(0, path.lastIndexOf("/", path.length - 2) + 1);
  }
}

function certificates(files: readonly NpmrcFile[], env: Readonly<NodeJS.ProcessEnv>): string[] {
  const inline = lookUp(files, "ca");
  if (inline !== undefined && inline !== "" && inline !== "null")
    return (typeof inline === "string" ? [inline] : [...inline]).map((pem) => pem.replaceAll("\\n", "\n"));
  const file = text(lookUp(files, "cafile")) ?? env["NODE_EXTRA_CA_CERTS"];
  return file === undefined ? [] : [readPem(file)];
}

function readPem(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new CofferdamError("INVALID_ARGUMENT", `cannot read the certificate file ${path}: ${errnoOf(error) ?? "error"}`, {
      hint: "it is named by cafile, certfile or keyfile of your npm configuration",
    });
  }
}

function skipsProxy(url: URL, noProxy: readonly string[]): boolean {
  return noProxy.some((entry) => {
    if (entry === "") return false;
    if (entry === "*") return true;
    const host = entry.replace(/^\*?\./, "").toLowerCase();
    return url.hostname === host || url.hostname.endsWith(`.${host}`);
  });
}

function text(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "string" && value !== "" && value !== "null" && value !== "undefined" ? value : undefined;
}
