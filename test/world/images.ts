/** Images without a registry: an archive as `docker save` writes it, made here and loaded through our own client. */
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { ContainerEngine } from "../../src/engine/index.ts";
import { type ArchiveEntry, tar } from "./archives.ts";

export interface ImageSpec {
  /** Further files by path, without a leading slash; a text is a file with mode 755. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
  /** Entries of the layer as they are, for what is no plain file. */
  readonly entries?: readonly ArchiveEntry[];
  /** The image's own configuration: Env, Cmd, Entrypoint, User, Labels... */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly reference?: string;
}

const FOLDERS = ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "var", "work"];
const PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";
const APPLETS =
  "[ cat chmod chown cp cut date dd df dmesg echo env false find grep head hostname id ip kill ln ls mkdir mkfifo mknod mount mv nc ping printf ps pwd rm sed seq sh sha256sum sleep sort stat stty sync tail tar tee test timeout touch tr true tty umount uname unshare vi wc wget which xargs yes";

/** An image of busybox and what is asked for. @returns its id, `sha256:...`. */
export async function busyboxImage(engine: ContainerEngine, spec: ImageSpec = {}): Promise<string> {
  const { archive, id } = busyboxArchive(spec);
  await engine.images.load(archive);
  return id;
}

/** The same as `docker save` writes it. */
export function busyboxArchive(spec: ImageSpec = {}): { readonly archive: Buffer; readonly id: string } {
  return imageArchive(
    [
      ...FOLDERS.map((path): ArchiveEntry => ({ path: `${path}/`, type: "5", mode: path === "tmp" ? 0o1777 : 0o755 })),
      { path: "bin/busybox", body: readFileSync("/bin/busybox"), mode: 0o755 },
      ...APPLETS.split(" ").map((applet): ArchiveEntry => ({ path: `bin/${applet}`, type: "2", linkname: "busybox" })),
      { path: "etc/passwd", body: PASSWD },
      { path: "etc/group", body: "root:x:0:\nnogroup:x:65534:\n" },
      ...Object.entries(spec.files ?? {}).map(([path, body]): ArchiveEntry => ({ path, body, mode: 0o755 })),
      ...(spec.entries ?? []),
    ],
    spec,
  );
}

/** A `docker save` archive of one layer. */
export function imageArchive(entries: readonly ArchiveEntry[], { config = {}, reference }: ImageSpec = {}): { readonly archive: Buffer; readonly id: string } {
  const layer = tar(entries);
  const description = JSON.stringify({
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    created: "2026-01-01T00:00:00Z",
    config: { Env: ["PATH=/bin"], Cmd: ["/bin/sh"], ...config },
    rootfs: { type: "layers", diff_ids: [`sha256:${hash("sha256", layer)}`] },
    history: [{ created: "2026-01-01T00:00:00Z", created_by: "test" }],
  });
  const id = hash("sha256", description);
  const manifest = JSON.stringify([{ Config: `${id}.json`, RepoTags: reference === undefined ? null : [reference], Layers: ["layer/layer.tar"] }]);
  const archive = tar([
    { path: `${id}.json`, body: description },
    { path: "layer/", type: "5" },
    { path: "layer/layer.tar", body: layer },
    { path: "manifest.json", body: manifest },
  ]);
  return { archive, id: `sha256:${id}` };
}
