/**
 * The client's registries and how its URLs map onto them: scope to registry, a package to its conventional tarball URL,
 * a lockfile's `resolved` to the place it is fetched from.
 */
import { CofferdamError } from "../../foundation/index.ts";

/** One registry of the client's configuration. `base` ends with a slash. */
export interface Registry {
  readonly base: URL;
  /** Scopes that use it (`@acme`); the default registry has none. */
  readonly scopes: readonly string[];
}

export class Registries {
  readonly #default: Registry;
  readonly #byScope = new Map<string, Registry>();
  readonly all: readonly Registry[];

  /** @param scopes scope (`@acme`) to registry URL. Throws INVALID_ARGUMENT for what is not an http(s) URL. */
  constructor(defaultUrl: string, scopes: ReadonlyMap<string, string>) {
    this.#default = { base: baseUrl(defaultUrl), scopes: [] };
    const others = new Map<string, { base: URL; scopes: string[] }>();
    for (const [scope, url] of scopes) {
      const base = baseUrl(url);
      const known = others.get(base.href);
      if (known === undefined) others.set(base.href, { base, scopes: [scope] });
      else known.scopes.push(scope);
    }
    for (const registry of others.values()) for (const scope of registry.scopes) this.#byScope.set(scope, registry);
    this.all = [this.#default, ...others.values()];
  }

  of(name: string): Registry {
    const scope = name.startsWith("@") ? name.slice(0, name.indexOf("/")) : "";
    return this.#byScope.get(scope) ?? this.#default;
  }

  /** Where the package's metadata is: `https://registry.example/@scope%2fname`. */
  metadataUrl(name: string): URL {
    return new URL(name.replace("/", "%2f"), this.of(name).base);
  }

  /** The conventional place of a tarball; registries that use another say so in their metadata. */
  conventionalUrl(name: string, version: string): URL {
    const file = `${name.slice(name.indexOf("/") + 1)}-${version.replace(/\+.*$/, "")}.tgz`;
    return new URL(`${name}/-/${file}`, this.of(name).base);
  }

  /**
   * Where `resolved` is fetched from. An address on one of the registries (or on `trusted` origins) is used as it stands.
   * Any other one is read as npm reads it with `replace-registry-host`: its path, on the package's own registry.
   */
  locate(name: string, resolved: string, trusted: readonly string[]): URL {
    const url = new URL(resolved);
    if (this.all.some((registry) => registry.base.origin === url.origin) || trusted.some((prefix) => isBelow(url, prefix))) return url;
    const { base } = this.of(name);
    const path = url.pathname.startsWith(base.pathname) ? url.pathname : base.pathname.replace(/\/$/, "") + url.pathname;
    return new URL(path + url.search, base);
  }
}

function isBelow(url: URL, prefix: string): boolean {
  const at = URL.parse(prefix);
  return at !== null && at.origin === url.origin && url.pathname.startsWith(at.pathname);
}

function baseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new CofferdamError("INVALID_ARGUMENT", `not a registry address: ${text.slice(0, 200)}`);
  }
  url.username = "";
  url.password = "";
  url.hash = "";
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}
