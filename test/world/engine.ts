/**
 * The engine client and a real engine for one test file, with an image of busybox: a dockerd of the file's own, or the one that
 * COFFERDAM_TEST_ENGINE names, which should be nobody's: the tests list and count.
 */
import { afterAll, beforeAll, beforeEach } from "vitest";
import { type ContainerCreate, EngineClient, type OutputChunk } from "../../src/engine/index.ts";
import { startDocker, type TestDocker } from "./docker.ts";
import { busyboxImage } from "./images.ts";
import { has, requires } from "./needs.ts";

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

export class EngineWorld {
  #docker: TestDocker | undefined;
  #engine: EngineClient | undefined;
  #address: string | undefined = process.env["COFFERDAM_TEST_ENGINE"];
  #image: string | undefined;

  /** Sets the file's hooks up; the rest is there in its tests. @param options.tls with a port that speaks TLS. */
  constructor(options: { readonly tls?: boolean } = {}) {
    const other = this.#address !== undefined;
    beforeAll(async () => {
      if (!other && !has("docker")) return;
      if (!other) this.#docker = await startDocker({ tls: options.tls === true && has("openssl") });
      this.#address ??= this.#docker?.socketPath;
      this.#engine = new EngineClient(this.address);
      this.#image = await busyboxImage(this.#engine, { config: { Labels: { "of.image": "yes" } } });
    });
    afterAll(async () => {
      await this.#engine?.close();
      await this.#docker?.[Symbol.asyncDispose]();
    });
    beforeEach((context) => {
      if (!other) requires(context, "docker");
    });
  }

  /** Undefined when the engine is not ours. */
  get docker(): TestDocker | undefined {
    return this.#docker;
  }

  get address(): string {
    return there(this.#address);
  }

  get engine(): EngineClient {
    return there(this.#engine);
  }

  /** Its id; it has the label of.image=yes. */
  get image(): string {
    return there(this.#image);
  }

  async create(cmd: readonly string[], more: Partial<ContainerCreate> = {}): Promise<string> {
    const { HostConfig, ...rest } = more;
    return (await this.engine.containers.create({ Image: this.image, Cmd: cmd, HostConfig: { NetworkMode: "none", ...HostConfig }, ...rest })).Id;
  }

  async running(cmd: readonly string[] = ["sleep", "1000"], more: Partial<ContainerCreate> = {}): Promise<string> {
    const id = await this.create(cmd, more);
    await this.engine.containers.start(id);
    return id;
  }

  async gone(id: string): Promise<void> {
    await this.engine.containers.remove(id, { force: true, volumes: true });
  }

  /** Runs it with what it prints, from its first byte to its exit, and removes it. */
  async run(cmd: readonly string[], more: Partial<ContainerCreate> = {}): Promise<Output & { readonly exitCode: number }> {
    const id = await this.create(cmd, more);
    await using attached = await this.engine.containers.attach(id, { tty: false });
    const { exit } = await this.engine.containers.startWait(id, { condition: "next-exit" });
    await this.engine.containers.start(id);
    const output = await collect(attached.output);
    const { exitCode } = await exit;
    await this.gone(id);
    return { ...output, exitCode };
  }
}

export async function collect(output: AsyncIterable<OutputChunk>): Promise<Output> {
  const all = { stdout: "", stderr: "" };
  for await (const { source, bytes } of output) all[source] += bytes.toString();
  return all;
}

/** Both streams until a text has come; what comes after it is not read. */
export async function until(output: AsyncIterable<OutputChunk>, end: string): Promise<string> {
  let all = "";
  for await (const { bytes } of output) {
    all += bytes.toString();
    if (all.includes(end)) break;
  }
  return all;
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("only within a test");
  return value;
}
