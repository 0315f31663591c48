/** Calls on images. None of them pulls or pushes. */
import type { Readable } from "node:stream";
import { z } from "zod";
import { CofferdamError } from "../foundation/index.ts";
import { historySchema, imageSchema, imagesSchema, parseAnswer, removalsSchema } from "./answer-schemas.ts";
import type { ImageInspect, ImageLayer, ImageRemoval, ImageSummary } from "./answers.ts";
import { type Call, type Caller, DEFAULT_TIMEOUT_MS, filtersOf } from "./caller.ts";
import { nonsense, tidy } from "./failure.ts";
import { jsonLines } from "./json-lines.ts";
import { imagePath, repositoryAndTag } from "./names.ts";
import type { CallOptions, Filters, ImageCalls, ImportOptions } from "./types.ts";

/** Removing large layers takes the disk its time, ms. */
const SLOW_MS = 120_000;

interface Progress {
  readonly stream?: string | undefined;
  readonly status?: string | undefined;
  readonly error?: string | undefined;
}
const progressSchema: z.ZodType<Progress> = z.looseObject({ stream: z.string().optional(), status: z.string().optional(), error: z.string().optional() });

export class Images implements ImageCalls {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  async inspect(reference: string, options?: CallOptions): Promise<ImageInspect> {
    return await this.#caller.json(this.#get("inspect", reference, "json", options), imageSchema);
  }

  async list(options: CallOptions & { readonly all?: boolean | undefined; readonly filters?: Filters | undefined } = {}): Promise<readonly ImageSummary[]> {
    const query = { all: options.all, filters: filtersOf(options.filters) };
    return await this.#caller.json({ what: "list images", method: "GET", path: "/images/json", query, options, timeoutMs: DEFAULT_TIMEOUT_MS }, imagesSchema);
  }

  async history(reference: string, options?: CallOptions): Promise<readonly ImageLayer[]> {
    return await this.#caller.json(this.#get("read the history of", reference, "history", options), historySchema);
  }

  async load(archive: Readable | Uint8Array, options?: CallOptions): Promise<readonly string[]> {
    const call: Call = { what: "load images", method: "POST", path: "/images/load", query: { quiet: true }, tar: archive, options };
    const loaded: string[] = [];
    for (const { stream = "" } of await this.#progress(call)) {
      const name = /^Loaded image(?: ID)?(?:\(s\))?: (\S+)/.exec(stream)?.[1];
      if (name !== undefined) loaded.push(name);
    }
    return loaded;
  }

  async import(rootfs: Readable | Uint8Array, options: ImportOptions = {}): Promise<string> {
    // Podman only takes the tag as part of the repository, and Docker takes it there too.
    const { repo, tag } = options.reference === undefined ? { repo: undefined, tag: "" } : repositoryAndTag(options.reference);
    const named = { repo: repo === undefined ? undefined : `${repo}:${tag}` };
    const call: Call = {
      what: "import an image",
      method: "POST",
      path: "/images/create",
      query: { fromSrc: "-", ...named, changes: options.changes },
      tar: rootfs,
      options,
    };
    const last = (await this.#progress(call)).at(-1)?.status?.trim() ?? "";
    if (!/^sha256:[a-f0-9]{64}$/.test(last)) throw nonsense(call.what, "it names no id");
    return last;
  }

  async remove(reference: string, options: Parameters<ImageCalls["remove"]>[1] = {}): Promise<readonly ImageRemoval[]> {
    const query = { force: options.force, noprune: options.noPrune };
    const call: Call = { what: `remove image ${reference}`, method: "DELETE", path: `/images/${imagePath(reference)}`, query, options, timeoutMs: SLOW_MS };
    return await this.#caller.json(call, removalsSchema);
  }

  async tag(reference: string, target: string, options?: CallOptions): Promise<void> {
    const query = repositoryAndTag(target);
    await this.#caller.status({
      what: `tag image ${reference}`,
      method: "POST",
      path: `/images/${imagePath(reference)}/tag`,
      query,
      options,
      timeoutMs: DEFAULT_TIMEOUT_MS,
    });
  }

  #get(verb: string, reference: string, part: string, options: CallOptions | undefined): Call {
    return { what: `${verb} image ${reference}`, method: "GET", path: `/images/${imagePath(reference)}/${part}`, options, timeoutMs: DEFAULT_TIMEOUT_MS };
  }

  /** Work that is answered with 200 at once and with its outcome in the body. */
  async #progress(call: Call): Promise<readonly Progress[]> {
    const { chunks } = await this.#caller.stream(call);
    const steps: Progress[] = [];
    for await (const line of jsonLines(chunks, call.what)) {
      const step = parseAnswer(progressSchema, line, call.what);
      if (step.error !== undefined) {
        const said = tidy(step.error, []);
        const full = /no space left on device|disk quota exceeded/i.test(said);
        throw new CofferdamError(full ? "RESOURCE_EXHAUSTED" : "INVALID_ARGUMENT", `the engine cannot ${call.what}: ${said}`, { details: { engine: said } });
      }
      // Progress bars are not kept; what is named at the end is.
      if (step.stream !== undefined || step.status !== undefined) steps.push(step);
      if (steps.length > 10_000) throw nonsense(call.what, "no end of steps");
    }
    return steps;
  }
}
