/** A real npm registry on loopback, with packages made here and faults that a test switches on. */
import { hash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";

export interface PackageSpec {
  readonly name: string;
  readonly version: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Merged into package.json. */
  readonly manifest?: Readonly<Record<string, unknown>>;
  /** Raw tar entries appended, for hostile archives: path and body. */
  readonly extra?: readonly (readonly [path: string, body: string])[];
}

export interface Fault {
  readonly status?: number;
  readonly location?: string;
  /** Bytes sent instead of the right ones. */
  readonly body?: Buffer;
  /** Content-Length that is claimed. */
  readonly claim?: number;
  /** Ends the connection after this many bytes. */
  readonly cut?: number;
  /** Sends nothing at all for this long, ms. */
  readonly stall?: number;
}

interface Published {
  readonly spec: PackageSpec;
  readonly tarball: Buffer;
  readonly manifest: Record<string, unknown>;
}

export class TestRegistry implements AsyncDisposable {
  readonly #published = new Map<string, Published[]>();
  readonly #faults = new Map<string, Fault>();
  readonly requests: { readonly path: string; readonly authorization: string | undefined; readonly method: string }[] = [];
  /** When set, every request must present it. */
  token: string | undefined;
  /** Host that `dist.tarball` names instead of ours. */
  publicBase: string | undefined;
  readonly #server: Server;
  #port = 0;

  private constructor() {
    this.#server = createServer((request, response) => this.#handle(request, response));
  }

  static async start(): Promise<TestRegistry> {
    const registry = new TestRegistry();
    await new Promise<void>((resolve) => registry.#server.listen(0, "127.0.0.1", resolve));
    const address: AddressInfo | string | null = registry.#server.address();
    if (address === null || typeof address === "string") throw new Error("no address");
    registry.#port = address.port;
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  publish(spec: PackageSpec): Published {
    const manifest = { name: spec.name, version: spec.version, ...spec.manifest };
    const tarball = packTarball([
      ["package/package.json", JSON.stringify(manifest)],
      ...Object.entries(spec.files ?? { "index.js": `module.exports = ${JSON.stringify(spec.name)};\n` }).map(([path, body]): [string, string] => [
        `package/${path}`,
        body,
      ]),
      ...(spec.extra ?? []),
    ]);
    const published = { spec, tarball, manifest };
    const versions = this.#published.get(spec.name);
    if (versions === undefined) this.#published.set(spec.name, [published]);
    else versions.push(published);
    return published;
  }

  tarballPath(name: string, version: string): string {
    return `/${name}/-/${name.slice(name.indexOf("/") + 1)}-${version}.tgz`;
  }

  /** A fault for one path, until it is cleared with undefined. */
  fault(path: string, fault: Fault | undefined): void {
    if (fault === undefined) this.#faults.delete(path);
    else this.#faults.set(path, fault);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? "").replace(/%2f/i, "/");
    this.requests.push({ path, authorization: request.headers.authorization, method: request.method ?? "" });
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) return void response.writeHead(401).end("{}");
    const fault = this.#faults.get(path);
    const found = this.#find(path);
    if (fault !== undefined) {
      fail(response, fault, found ?? Buffer.alloc(0));
      return;
    }
    if (found === undefined) return void response.writeHead(404, { "content-type": "application/json" }).end("{}");
    response
      .writeHead(200, { "content-type": path.endsWith(".tgz") ? "application/octet-stream" : "application/json", "content-length": found.length })
      .end(found);
  }

  #find(path: string): Buffer | undefined {
    const name = path.slice(1);
    const versions = this.#published.get(name);
    if (versions !== undefined) return Buffer.from(JSON.stringify(this.#packument(name, versions)));
    for (const list of this.#published.values()) {
      const hit = list.find(({ spec }) => this.tarballPath(spec.name, spec.version) === path);
      if (hit !== undefined) return hit.tarball;
    }
    return undefined;
  }

  #packument(name: string, versions: readonly Published[]): object {
    const base = this.publicBase ?? this.url;
    return {
      name,
      "dist-tags": { latest: versions.at(-1)?.spec.version },
      versions: Object.fromEntries(
        versions.map(({ spec, tarball, manifest }) => [
          spec.version,
          {
            ...manifest,
            ...(hasScripts(manifest) ? { hasInstallScript: true } : {}),
            dist: { tarball: new URL(this.tarballPath(name, spec.version).slice(1), base).href, integrity: sri(tarball), shasum: hash("sha1", tarball, "hex") },
          },
        ]),
      ),
    };
  }
}

export function sri(bytes: Buffer): string {
  return `sha512-${hash("sha512", bytes, "base64")}`;
}

function hasScripts(manifest: Record<string, unknown>): boolean {
  return (
    typeof manifest["scripts"] === "object" &&
    manifest["scripts"] !== null &&
    Object.keys(manifest["scripts"]).some((name) => /^(?:pre|post)?install$/.test(name))
  );
}

function fail(response: ServerResponse, fault: Fault, honest: Buffer): void {
  const body = fault.body ?? honest;
  const send = (): void => {
    if (fault.location !== undefined) response.setHeader("location", fault.location);
    response.writeHead(fault.status ?? 200, { "content-length": fault.claim ?? body.length });
    if (fault.cut === undefined) return void response.end(body);
    response.write(body.subarray(0, fault.cut), () => response.destroy());
  };
  if (fault.stall === undefined) send();
  else setTimeout(send, fault.stall).unref();
}

/** A gzipped ustar archive of plain files, in the given order. */
export function packTarball(entries: readonly (readonly [path: string, body: string])[]): Buffer {
  const blocks: Buffer[] = [];
  for (const [path, body] of entries) {
    const bytes = Buffer.from(body);
    blocks.push(tarHeader(path, bytes.length), bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512));
  }
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
}

function tarHeader(path: string, size: number): Buffer {
  const block = Buffer.alloc(512);
  block.write(path, 0, 100);
  block.write("0000644\0", 100);
  block.write("0000000\0", 108);
  block.write("0000000\0", 116);
  block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  block.write("00000000000\0", 136);
  block.write("        ", 148);
  block.write("0", 156);
  block.write("ustar\u000000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
