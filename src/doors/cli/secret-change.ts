/** `cofferdam secret put|rotate|delete|import`. */
import { CofferdamError } from "../../foundation/index.ts";
import { parseDotenv, parseJsonSecrets, type SecretActor, type SecretInfo, type SecretManagementSystem, type SecretMetadata } from "../../secrets/index.ts";
import type { Command, CommandContext, OptionSpec } from "./command.ts";
import { line } from "./line.ts";
import { allNames, withSecrets } from "./secret-session.ts";
import { EXACT_OPTION, FILE_OPTION, metadataOf, onlyId, readInput, readValue, SAID, textOf } from "./secret-value.ts";

const REPLACE: OptionSpec = { type: "boolean", describe: "also in place of one that there is: its value, and all that was said of it" };

export const put: Command = {
  name: "put",
  summary: "Stores a new secret. The value comes by standard input or from a file.",
  usage: "ID [--file FILE] [--repository O/R]... [--expires DATE] [--replace] ...",
  examples: [
    "pass show npm | cofferdam secret put npm/publish --repository acme/web --ref refs/heads/main",
    "cofferdam secret put deploy/key --file ~/.ssh/deploy --environment production --expires 2027-01-31",
  ],
  options: { file: FILE_OPTION, exact: EXACT_OPTION, replace: REPLACE, ...SAID },
  async run(context) {
    const id = onlyId(context);
    const [value, metadata] = [await readValue(context), metadataOf(context)];
    const info = await withSecrets(
      context,
      async (secrets, by) => await storeOne(secrets, by, { id, value, metadata, replace: context.values["replace"] === true }),
    );
    const { currentVersion: version } = info;
    if (context.globals.json) context.out.json({ schema: "cofferdam/secret-put/v1", id, version });
    else
      context.out.note(
        `cofferdam: ${id} is stored, version ${version}${Object.values(info.allow).some((list) => list !== undefined) ? "" : "; every job may have it"}`,
      );
    return 0;
  },
};

export const rotate: Command = {
  name: "rotate",
  summary: "Gives a secret its next value: from its provider, or the one that you give. The one before stays good for the grace.",
  usage: "ID [--file FILE] | --due",
  examples: ["cofferdam secret rotate npm/publish", "pass show npm | cofferdam secret rotate npm/publish --file -", "cofferdam secret rotate --due"],
  options: { file: FILE_OPTION, exact: EXACT_OPTION, due: { type: "boolean", describe: "all whose time has come" } },
  async run(context) {
    if (context.values["due"] === true) return await rotateDue(context);
    const id = onlyId(context);
    const value = context.values["file"] === undefined ? undefined : await readValue(context);
    const version = await withSecrets(context, async (secrets, by) => await secrets.rotateSecret(id, value, by));
    if (context.globals.json) context.out.json({ schema: "cofferdam/secret-rotate/v1", id, version });
    else context.out.note(`cofferdam: version ${version} of ${id} is current`);
    return 0;
  },
};

export const remove: Command = {
  name: "delete",
  summary: "Destroys all values of a secret. Its name and the numbers of its versions stay known.",
  usage: "ID",
  examples: ["cofferdam secret delete npm/publish"],
  options: {},
  async run(context) {
    const id = onlyId(context);
    if (!(await withSecrets(context, async (secrets, by) => await secrets.deleteSecret(id, by))))
      throw new CofferdamError("NOT_FOUND", `no secret ${line(id)}`, { hint: "cofferdam secret list" });
    if (context.globals.json) context.out.json({ schema: "cofferdam/secret-delete/v1", id });
    else context.out.note(`cofferdam: ${id} is deleted, its values are destroyed`);
    return 0;
  },
};

export const importFile: Command = {
  name: "import",
  summary: "Stores every secret of a file: lines NAME='value' (dotenv), or one JSON object of texts. NPM_TOKEN becomes npm_token.",
  usage: "FILE [--format dotenv|json] [--prefix ID] [--replace] [--repository O/R]...",
  examples: ["cofferdam secret import .env --prefix web --repository acme/web", "pass show ci.json | cofferdam secret import - --format json"],
  options: {
    format: { type: "string", value: "FORMAT", describe: "dotenv or json (default: by the file's name, else dotenv)" },
    prefix: { type: "string", value: "ID", describe: "ids begin with this: web/npm_token" },
    replace: REPLACE,
    ...SAID,
  },
  async run(context) {
    const { args, values, globals, out } = context;
    const [path, ...more] = args;
    if (path === undefined || more.length > 0) throw new CofferdamError("INVALID_ARGUMENT", "one file, please; - is standard input");
    const format = textOf(values["format"]) ?? (path.endsWith(".json") ? "json" : "dotenv");
    if (format !== "dotenv" && format !== "json") throw new CofferdamError("INVALID_ARGUMENT", "--format is dotenv or json");
    const metadata = metadataOf(context);
    const text = utf8(await readInput(path));
    const found = (format === "json" ? parseJsonSecrets : parseDotenv)(text, textOf(values["prefix"]));
    const ids = found.map(({ secretId }) => secretId);
    await withSecrets(context, async (secrets, by) => {
      if (values["replace"] !== true) await assertNew(secrets, by, ids);
      for (const { secretId, value } of found) await secrets.storeSecret(secretId, value, metadata, by, { replace: values["replace"] === true });
    });
    if (globals.json) out.json({ schema: "cofferdam/secret-import/v1", ids });
    else out.note(`cofferdam: ${ids.length} stored: ${line(ids.join(", "), 2000)}\n  the file still has them: shred -u it when nothing else needs it`);
    return 0;
  },
};

async function rotateDue(context: CommandContext): Promise<number> {
  if (context.args.length > 0 || context.values["file"] !== undefined) throw new CofferdamError("INVALID_ARGUMENT", "--due takes no id and no value");
  const { rotated, waiting, failed } = await withSecrets(context, async (secrets, by) => await secrets.rotateDue(by));
  const failures = failed.map(({ secretId: id, error: { code, message } }) => ({ id, code, message }));
  if (context.globals.json)
    context.out.json({
      schema: "cofferdam/secret-rotate-due/v1",
      rotated: rotated.map(({ secretId: id, version }) => ({ id, version })),
      waiting,
      failed: failures,
    });
  else {
    for (const { secretId, version } of rotated) context.out.note(`rotated  ${secretId}, version ${version}`);
    for (const id of waiting) context.out.fault(`due      ${id}: cofferdam secret rotate ${id} --file FILE`);
    for (const { id, code, message } of failures) context.out.fault(`failed   ${id}: ${line(message)} (${code})`);
    if (rotated.length + waiting.length + failures.length === 0) context.out.note("cofferdam: nothing is due");
  }
  return failed[0]?.error.exitCode ?? (waiting.length === 0 ? 0 : 3);
}

interface NewSecret {
  readonly id: string;
  readonly value: Uint8Array;
  readonly metadata: SecretMetadata;
  readonly replace: boolean;
}

/** Throws CONFLICT, with the ways out. */
async function storeOne(secrets: SecretManagementSystem, by: SecretActor, { id, value, metadata, replace }: NewSecret): Promise<SecretInfo> {
  try {
    return await secrets.storeSecret(id, value, metadata, by, { replace });
  } catch (error) {
    if (replace || !(error instanceof CofferdamError && error.code === "CONFLICT")) throw error;
    const hint = `a new value for the same jobs: cofferdam secret rotate ${id} --file FILE; all anew: --replace`;
    throw new CofferdamError("CONFLICT", error.message, { details: error.details, hint });
  }
}

/** Throws CONFLICT before anything is stored. */
async function assertNew(secrets: SecretManagementSystem, by: SecretActor, ids: readonly string[]): Promise<void> {
  for await (const id of allNames(secrets, by))
    if (ids.includes(id))
      throw new CofferdamError("CONFLICT", `there is a secret ${id} already; nothing was stored`, { hint: "--replace, or another --prefix" });
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new CofferdamError("INVALID_ARGUMENT", "the file is no UTF-8 text");
  }
}
