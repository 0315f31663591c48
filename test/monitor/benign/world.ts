/**
 * Builds in containers of this machine's own Debian: its folders are the lower side of an overlay, as an image's layers are, and
 * what a build writes goes to an upper side of its own. No network but loopback.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ContainerEngine } from "../../../src/engine/index.ts";
import { packageFolder } from "../../../src/foundation/index.ts";
import type { ArchiveEntry } from "../../world/archives.ts";
import type { TestDocker } from "../../world/docker.ts";
import { imageArchive } from "../../world/images.ts";
import { runHeld } from "../held.ts";

const PATH = "PATH=/opt/node/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Where Debian has what is in /usr; and what lives in mounts of the builds' own. */
const LINKS = ["bin", "sbin", "lib", "lib64"];
const FOLDERS = ["dev", "proc", "sys", "tmp", "root", "work", "opt", "run", "usr", "etc", "var"];

export class BuildWorld implements AsyncDisposable {
  readonly #docker: TestDocker;
  readonly #engine: ContainerEngine;
  readonly #image: string;
  readonly #mounted: string[] = [];

  private constructor(docker: TestDocker, engine: ContainerEngine, image: string) {
    this.#docker = docker;
    this.#engine = engine;
    this.#image = image;
  }

  static async start(docker: TestDocker, engine: ContainerEngine): Promise<BuildWorld> {
    const { archive, id } = imageArchive([
      ...FOLDERS.map((path): ArchiveEntry => ({ path: `${path}/`, type: "5", mode: path === "tmp" ? 0o1777 : 0o755 })),
      ...LINKS.map((path): ArchiveEntry => ({ path, type: "2", linkname: `usr/${path}` })),
    ]);
    await engine.images.load(archive);
    return new BuildWorld(docker, engine, id);
  }

  /** @param watch is told the container's id before the build begins. */
  async run(script: string, watch: (id: string) => Promise<void>): Promise<string> {
    // This checkout's own, whatever the machine has.
    const node = dirname(dirname(realpathSync(process.execPath)));
    const npm = join(packageFolder(), "tools", "runtime", "node_modules", "npm");
    const root = this.#overlay();
    const bind = (source: string, target: string, readOnly = false): string => `${source}:${target}${readOnly ? ":ro" : ""}`;
    const container = {
      ...{ Image: this.#image, Env: [PATH, "HOME=/root", "LANG=C.UTF-8"] },
      HostConfig: {
        NetworkMode: "none",
        Binds: [...["usr", "etc", "var"].map((name) => bind(join(root, name), `/${name}`)), bind(node, "/opt/node", true), bind(npm, "/opt/npm", true)],
      },
    };
    const whole = `cd /work; npm() { node /opt/npm/bin/npm-cli.js "$@"; }; ${script}`;
    return await runHeld(this.#engine, { script: whole, container, watch }, async (_, { output }) => output);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const place of this.#mounted.splice(0)) execFileSync("umount", [place]);
  }

  #overlay(): string {
    const place = join(this.#docker.mounts, `build-${this.#mounted.length}`);
    const [upper, work, merged] = ["upper", "work", "merged"].map((name) => join(place, name));
    if (upper === undefined || work === undefined || merged === undefined) throw new Error("no folders");
    for (const folder of [upper, work, merged]) mkdirSync(folder, { recursive: true });
    execFileSync("mount", ["-t", "overlay", "overlay", "-o", `lowerdir=/,upperdir=${upper},workdir=${work}`, merged]);
    this.#mounted.push(merged);
    return merged;
  }
}
