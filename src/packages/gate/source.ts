/** Where verified tarballs come from: the store when they are there, else upstream through the verifier. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import clean from "semver/functions/clean.js";
import { CofferdamError, errnoOf } from "../../foundation/index.ts";
import { strongestDigest } from "./digest.ts";
import type { GateLimits } from "./limits.ts";
import { tarballsOf, type WantedTarball } from "./metadata.ts";
import type { Registries } from "./registries.ts";
import type { TarballStore, TarballSummary } from "./tarball-store.ts";
import { type Upstream, type UpstreamResponse, withoutQuery } from "./upstream.ts";
import type { Verifier } from "./verifier.ts";

export interface SourceCounts {
  /** Asked of a registry in this run, whatever came of it. */
  asked: number;
  /** Fetched and verified in this run. */
  fetched: number;
  /** Verified in an earlier run and found in the store. */
  stored: number;
  bytes: number;
}

export class TarballSource {
  readonly #store: TarballStore;
  readonly #upstream: Upstream;
  readonly #verifier: Verifier;
  readonly #registries: Registries;
  readonly #limits: GateLimits;
  readonly #running = new Map<string, Promise<TarballSummary>>();
  readonly counts: SourceCounts = { asked: 0, fetched: 0, stored: 0, bytes: 0 };

  constructor(parts: { store: TarballStore; upstream: Upstream; verifier: Verifier; registries: Registries; limits: GateLimits }) {
    this.#store = parts.store;
    this.#upstream = parts.upstream;
    this.#verifier = parts.verifier;
    this.#registries = parts.registries;
    this.#limits = parts.limits;
  }

  /**
   * Makes sure that a verified tarball is in the store and that it is who it should be.
   * Throws INTEGRITY_FAILURE, UPSTREAM_UNAVAILABLE, NOT_FOUND, PAYLOAD_TOO_LARGE, SECURITY_VIOLATION, RESOURCE_EXHAUSTED, CANCELLED.
   */
  async ensure(wanted: WantedTarball, signal: AbortSignal): Promise<TarballSummary> {
    const key = `${wanted.name}@${wanted.version} ${wanted.integrity ?? ""} ${wanted.url.href}`;
    const running = this.#running.get(key);
    if (running !== undefined) return await running;
    const started = this.#ensure(wanted, signal);
    this.#running.set(key, started);
    return await started;
  }

  /** Path of the verified bytes, hashed once more: what leaves the gate is what was verified. */
  async open(wanted: WantedTarball, signal: AbortSignal): Promise<string> {
    const { sha512 } = await this.ensure(wanted, signal);
    const path = this.#store.contentPath({ algorithm: "sha512", hex: sha512 });
    const digest = createHash("sha512");
    await pipeline(createReadStream(path), digest, { signal });
    if (digest.digest("hex") === sha512) return path;
    this.#store.drop({ algorithm: "sha512", hex: sha512 });
    this.#running.clear();
    await this.ensure(wanted, signal);
    return path;
  }

  async #ensure(wanted: WantedTarball, signal: AbortSignal): Promise<TarballSummary> {
    const digest = wanted.integrity === undefined ? undefined : strongestDigest(wanted.integrity);
    const stored = digest === undefined ? undefined : this.#store.find(digest);
    if (stored !== undefined) {
      this.counts.stored += 1;
      return assertIdentity(stored, wanted);
    }
    const spill = this.#store.incomingPath();
    if (wanted.url.protocol !== "file:") this.counts.asked += 1;
    try {
      const source = wanted.url.protocol === "file:" ? await this.#local(wanted, spill) : await this.#fetch(wanted, spill, signal);
      const summary = await this.#verifier.verify({ source, name: wanted.name, version: wanted.version, integrity: wanted.integrity });
      this.counts.fetched += 1;
      this.counts.bytes += summary.bytes;
      return assertIdentity(summary, wanted);
    } catch (error) {
      if (errnoOf(error) === "ENOSPC") throw diskFull(error);
      throw error;
    } finally {
      await rm(spill, { force: true });
    }
  }

  async #fetch(wanted: WantedTarball, spillTo: string, signal: AbortSignal): Promise<{ bytes: Uint8Array } | { path: string }> {
    let response = await this.#get(wanted.url, spillTo, signal);
    // A registry may keep its tarballs elsewhere than by convention; its own metadata says where.
    if (response.status === 404) {
      const said = await this.#addressFromMetadata(wanted, signal);
      if (said !== undefined && said.href !== wanted.url.href) response = await this.#get(said, spillTo, signal);
    }
    if (response.status !== 200) {
      const code = response.status === 404 ? "NOT_FOUND" : response.status === 401 || response.status === 403 ? "PERMISSION_DENIED" : "UPSTREAM_UNAVAILABLE";
      throw new CofferdamError(code, `${response.url.host} answers ${response.status} for ${wanted.name}@${wanted.version}`, {
        details: { url: withoutQuery(response.url), status: response.status },
      });
    }
    return response.body.kind === "bytes" ? { bytes: response.body.bytes } : { path: response.body.path };
  }

  #get(url: URL, spillTo: string, signal: AbortSignal): Promise<UpstreamResponse> {
    return this.#upstream.get({
      url,
      accept: "application/octet-stream, */*;q=0.1",
      redirects: "any-host",
      maxBytes: this.#limits.maxTarballBytes,
      signal,
      spillTo,
    });
  }

  async #addressFromMetadata(wanted: WantedTarball, signal: AbortSignal): Promise<URL | undefined> {
    const url = this.#registries.metadataUrl(wanted.name);
    const accept = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8";
    const response = await this.#upstream.get({ url, accept, redirects: "same-origin", maxBytes: this.#limits.maxMetadataBytes, signal, unpack: true });
    if (response.status !== 200 || response.body.kind !== "bytes") return undefined;
    const found = tarballsOf(response.body.bytes, wanted.name, url).find((one) => one.version === wanted.version);
    return found === undefined ? undefined : this.#registries.locate(wanted.name, found.url.href, []);
  }

  /** A tarball of the project itself (`file:./x.tgz`): copied first, so that what is checked is what is kept. */
  async #local(wanted: WantedTarball, spill: string): Promise<{ path: string }> {
    try {
      await copyFile(fileURLToPath(wanted.url), spill);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") throw new CofferdamError("NOT_FOUND", `${wanted.name}: no file ${wanted.url.pathname}`);
      throw error;
    }
    return { path: spill };
  }
}

/** The tarball's own package.json has the last word on who it is. */
function assertIdentity(summary: TarballSummary, wanted: WantedTarball): TarballSummary {
  const same =
    summary.name === wanted.name && (clean(summary.version, { loose: true }) ?? summary.version) === (clean(wanted.version, { loose: true }) ?? wanted.version);
  if (same) return summary;
  throw new CofferdamError("INTEGRITY_FAILURE", `${wanted.name}@${wanted.version}: the tarball with this hash is ${summary.name}@${summary.version}`, {
    details: {
      subject: `${wanted.name}@${wanted.version}`,
      kind: "identity",
      expected: `${wanted.name}@${wanted.version}`,
      actual: `${summary.name}@${summary.version}`,
    },
  });
}

function diskFull(cause: unknown): CofferdamError {
  return new CofferdamError("RESOURCE_EXHAUSTED", "the disk of the state directory is full", { hint: "free space there, or point --state elsewhere", cause });
}
