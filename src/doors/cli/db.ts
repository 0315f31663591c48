/** `cofferdam db update|import|status|export`: the advisories of this machine. */
import { join, resolve } from "node:path";
import { CofferdamError, ERROR_TABLE, type JsonObject, messageOf, readBounded, systemClock, wrapError } from "../../foundation/index.ts";
import { type Exposure, raiseExposed } from "../../packages/index.ts";
import { type AdvisoryDatabase, type ImportProgress, KEV_SOURCE } from "../../vulnerability/index.ts";
import {
  EnvironmentHttpClient,
  type InputForm,
  importBundle,
  inputForm,
  MAX_KEV_BYTES,
  openBundleKey,
  parseKev,
  readRecords,
  updateFromOsv,
  updateKev,
  writeBundle,
} from "../../vulnerability/sources/index.ts";
import type { Command, CommandContext, CommandGroup } from "./command.ts";
import { exposedLines, fromBundle, fromImport, fromKev, fromOsv, type SourceOutcome, sayOutcomes, statusLines } from "./db-report.ts";
import { openAdvisories, openPolicy, withState } from "./session.ts";
import { version } from "./version.ts";

const update: Command = {
  name: "update",
  summary: "Fetches what changed from osv.dev and CISA, or from where the policy says (advisories.osv, advisories.kev).",
  usage: "[--full]",
  examples: ["cofferdam db update", "cofferdam db update --full --json"],
  options: { full: { type: "boolean", describe: "everything again, not only what changed" } },
  async run(context) {
    const { values, out, env, signal } = context;
    const policy = await openPolicy(context);
    for (const notice of policy.notices) out.note(`cofferdam: ${notice}`);
    const { "advisories.osv": osv, "advisories.kev": kev } = policy.values;
    await using http = new EnvironmentHttpClient({ env, userAgent: `cofferdam/${version()}` });
    return await withDatabase(context, "AdvisoriesUpdate", async (database) => [
      await attempt("osv:npm", signal, async () => {
        const folder = join(context.globals.state, "advisories");
        const options = {
          base: new URL(osv),
          ecosystem: "npm",
          folder,
          http,
          signal,
          full: values["full"] === true,
          onProgress: progressOf(context, "osv:npm"),
        } as const;
        return fromOsv(await updateFromOsv(database, options));
      }),
      await attempt(KEV_SOURCE, signal, async () => fromKev(await updateKev(database, { url: new URL(kev), http, signal }))),
    ]);
  },
};

const importCommand: Command = {
  name: "import",
  summary: "Takes advisories from a file or folder: OSV records (.json, .ndjson, .zip, .tar.zst, ...), CISA's catalogue, or a bundle of db export.",
  usage: "FILE|DIR [--source NAME] [--full] [--key PUBLICKEY]",
  examples: [
    "cofferdam db import npm-all.zip",
    "cofferdam db import own-advisories.ndjson --source acme --full",
    "cofferdam db import advisories.bundle --key KEY",
  ],
  options: {
    source: { type: "string", value: "NAME", describe: "which source the records are; osv:npm for folders and archives when not said" },
    full: { type: "boolean", describe: "they are all of that source: what is not among them leaves it" },
    key: { type: "string", value: "PUBLICKEY", describe: "the key a bundle must be signed with, as db export printed it" },
  },
  async run(context) {
    const [given, ...more] = context.args;
    if (given === undefined || more.length > 0)
      throw new CofferdamError("INVALID_ARGUMENT", "one file or folder, please", { hint: "cofferdam db import --help" });
    const path = resolve(context.cwd, given);
    const work = importOf(path, await inputForm(path), context);
    return await withDatabase(context, "AdvisoriesImport", work);
  },
};

const status: Command = {
  name: "status",
  summary: "What is held: by source, how many advisories, how fresh, and what could not be read.",
  usage: "",
  examples: ["cofferdam db status", "cofferdam db status --json"],
  options: {},
  async run(context) {
    const { globals, out } = context;
    await using database = await openAdvisories(context);
    const sources = await database.status();
    const indexBytes = sources.length === 0 ? 0 : ((await database.open())?.size ?? 0);
    const unread = new Map(await Promise.all(sources.map(async ({ name }) => [name, await database.unparsable(name)] as const)));
    if (globals.json) {
      const shown = sources.map((source) => ({ ...source, faults: unread.get(source.name) ?? [] }));
      out.json({ schema: "cofferdam/db-status/v1", sources: shown, indexBytes });
    } else if (sources.length === 0) out.note("cofferdam: no advisories; cofferdam db update, or cofferdam db import FILE");
    else out.data(statusLines(sources, unread, indexBytes));
    return 0;
  },
};

const exportCommand: Command = {
  name: "export",
  summary: "Writes everything that is held into one signed file, for machines without a network.",
  usage: "FILE",
  examples: ["cofferdam db export advisories.bundle", "cofferdam db import advisories.bundle --key KEY"],
  options: {},
  async run(context) {
    const { args, out, cwd, globals, signal } = context;
    const [given, ...more] = args;
    if (given === undefined || more.length > 0) throw new CofferdamError("INVALID_ARGUMENT", "one new file, please", { hint: "cofferdam db export --help" });
    await using database = await openAdvisories(context);
    const key = await openBundleKey(join(globals.state, "keys", "advisories.pem"));
    const path = resolve(cwd, given);
    const manifest = await writeBundle(database, path, { key, signal, onProgress: progressOf(context, "export") });
    if (globals.json) out.json({ ...manifest, schema: "cofferdam/db-export/v1", file: path, publicKey: key.publicKey });
    else {
      const records = manifest.sources.reduce((sum, source) => sum + source.records, 0);
      out.note(`cofferdam: wrote ${given}, ${records} records, signed\n  there: cofferdam db import ${given} --key ${key.publicKey}`);
    }
    return 0;
  },
};

export const dbCommands: CommandGroup = {
  name: "db",
  summary: "Advisories: fetch, import, export them, or see how fresh they are.",
  commands: [update, importCommand, status, exportCommand],
};

/** Does the work, records every outcome, and says them. @returns the exit code of the first failure. */
async function withDatabase(context: CommandContext, action: string, work: (database: AdvisoryDatabase) => Promise<SourceOutcome[]>): Promise<number> {
  const { globals, out } = context;
  const policy = await openPolicy(context);
  const { outcomes, exposed } = await withState(context, async ({ store, audit }) => {
    await using database = await openAdvisories(context);
    const done = await work(database);
    for (const { name, error, mode, counts } of done) {
      const details: JsonObject = { ...(error === undefined ? { mode, ...counts } : { code: error.code, message: error.message.slice(0, 500) }) };
      const result = error === undefined ? "success" : "failure";
      await audit.log({ category: "advisories", action, result, resourceType: "source", resourceId: name, details });
    }
    const index = await database.open();
    return { outcomes: done, exposed: index === undefined ? [] : await raiseExposed({ index, policy, store, audit, clock: systemClock }) };
  });
  const failed = outcomes.find(({ error }) => error !== undefined)?.error;
  if (globals.json)
    out.json({
      schema: action === "AdvisoriesUpdate" ? "cofferdam/db-update/v1" : "cofferdam/db-import/v1",
      sources: outcomes.map(document),
      exposed: exposed.map(exposureDocument),
    });
  else {
    sayOutcomes(out, outcomes);
    for (const line of exposedLines(exposed)) out.fault(line);
  }
  return failed === undefined ? 0 : ERROR_TABLE[failed.code].exit;
}

function exposureDocument({ finding, installedAt, ...exposure }: Exposure): object {
  return { ...findingFacts(finding), ...exposure, installedAt: new Date(installedAt).toISOString() };
}

function findingFacts({ id, aliases, package: name, version, severity, malware, kev, fixed }: Exposure["finding"]): object {
  return { id, aliases, package: name, version, severity, malware, ...(kev === undefined ? {} : { kev }), fixed };
}

function document({ error, ...outcome }: SourceOutcome): object {
  return { ...outcome, ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }) };
}

/** One source that cannot be had must not keep another from being fetched. */
async function attempt<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T | SourceOutcome> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    return { name, mode: "failed", error: wrapError(error, "INTERNAL", messageOf(error)), faults: [], counts: {} };
  }
}

/** Arguments are judged before anything is opened. */
function importOf(path: string, form: InputForm, context: CommandContext): (database: AdvisoryDatabase) => Promise<SourceOutcome[]> {
  const { signal } = context;
  switch (form) {
    case "bundle": {
      const publicKey = keyOf(context);
      const onProgress = progressOf(context, "bundle");
      return async (database) => {
        const done = await attempt("bundle", signal, async () => fromBundle(await importBundle(database, path, { publicKey, signal, onProgress })));
        return Array.isArray(done) ? done : [done];
      };
    }
    case "catalogue":
      return async (database) => [await attempt(KEV_SOURCE, signal, () => catalogueInto(database, path))];
    default: {
      const source = sourceOf(context, form);
      const options = { source, full: context.values["full"] === true, signal, onProgress: progressOf(context, source) };
      return async (database) => [
        await attempt(source, signal, async () => fromImport(source, await database.importRecords(readRecords(path, { signal }), options))),
      ];
    }
  }
}

function keyOf({ values: { key } }: CommandContext): string {
  if (typeof key === "string") return key;
  throw new CofferdamError("INVALID_ARGUMENT", "a bundle needs --key: the public key that db export printed", { hint: "cofferdam db import FILE --key KEY" });
}

function sourceOf({ values: { source } }: CommandContext, form: InputForm): string {
  if (source === undefined && form !== "text") return "osv:npm";
  // One record that calls itself all of osv.dev would make old data look fresh.
  if (typeof source !== "string")
    throw new CofferdamError("INVALID_ARGUMENT", "whose advisories are these? Say --source NAME", {
      hint: "--source osv:npm for what osv.dev exports, any other name for your own",
    });
  if (!/^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/.test(source) || source === KEV_SOURCE)
    throw new CofferdamError("INVALID_ARGUMENT", `not a name for a source: ${JSON.stringify(source.slice(0, 80))}`);
  return source;
}

async function catalogueInto(database: AdvisoryDatabase, path: string): Promise<SourceOutcome> {
  const bytes = await readBounded(path, { maxBytes: MAX_KEV_BYTES, what: "catalogue", followLink: true });
  if (bytes === undefined) throw new CofferdamError("NOT_FOUND", `no such file: ${path}`);
  const catalogue = parseKev(bytes);
  const { applied, entries } = await database.importKev(catalogue);
  return fromKev({ ...catalogue, mode: applied ? "full" : "went-back", entries });
}

function progressOf({ out }: CommandContext, name: string): (progress: ImportProgress) => void {
  return ({ phase, done, total }) =>
    out.progress(`${name}: ${phase}${total === undefined ? ` ${done}` : ` ${Math.floor((100 * done) / Math.max(1, total))} %`}`);
}
