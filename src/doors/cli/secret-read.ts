/** `cofferdam secret get|show|list`. */
import { CofferdamError } from "../../foundation/index.ts";
import { createPrivate, type SecretInfo, type SecretVersion } from "../../secrets/index.ts";
import type { Command, CommandContext } from "./command.ts";
import { line } from "./line.ts";
import { allNames, withSecrets } from "./secret-session.ts";
import { onlyId, textOf } from "./secret-value.ts";

export const get: Command = {
  name: "get",
  summary: "Writes a value to a file or a pipe, as it is; to a terminal only with --reveal. Goes on record. Jobs need none of this: job run --secret.",
  usage: "ID [--output FILE] [--version N] [--reveal]",
  examples: ["cofferdam secret get npm/publish --output token", "cofferdam secret get npm/publish | npm-login", "cofferdam secret get npm/publish --reveal"],
  options: {
    output: { type: "string", value: "FILE", describe: "a new file, mode 0600; needed for what is no text" },
    version: { type: "string", value: "N", describe: "a version in grace instead of the current one" },
    reveal: { type: "boolean", describe: "show it on this terminal" },
  },
  async run(context) {
    const { values, globals, out } = context;
    const id = onlyId(context);
    const [output, asked] = [textOf(values["output"]), textOf(values["version"])];
    const version = asked === undefined ? undefined : Number(asked);
    if (version !== undefined && !(Number.isSafeInteger(version) && version > 0))
      throw new CofferdamError("INVALID_ARGUMENT", "--version is a number from 1 on");
    if (output === undefined && process.stdout.isTTY && values["reveal"] !== true)
      throw new CofferdamError("FAILED_PRECONDITION", "this would show the value on the terminal", { hint: "--output FILE, a pipe, or --reveal" });
    const value = await withSecrets(context, async (secrets, by) => await secrets.revealSecret(id, by, version));
    const text = textIn(value);
    if (output !== undefined) {
      if (!createPrivate(output, value)) throw new CofferdamError("CONFLICT", `the file exists: ${output}`);
      if (globals.json) out.json({ schema: "cofferdam/secret-get/v1", id, file: output });
    } else if (globals.json)
      out.json({ schema: "cofferdam/secret-get/v1", id, ...(text === undefined ? { base64: Buffer.from(value).toString("base64") } : { value: text }) });
    else if (text === undefined) throw new CofferdamError("FAILED_PRECONDITION", `${id} is no text`, { hint: "--output FILE, or --json" });
    else out.data(process.stdout.isTTY ? `${text}\n` : text);
    return 0;
  },
};

export const show: Command = {
  name: "show",
  summary: "Everything that is known of a secret but its value: who may have it, until when, its versions.",
  usage: "ID",
  examples: ["cofferdam secret show npm/publish", "cofferdam secret show npm/publish --json"],
  options: {},
  async run(context) {
    const id = onlyId(context);
    const info = await withSecrets(context, async (secrets, by) => await secrets.describeSecret(id, by));
    if (context.globals.json) context.out.json(documentOf(info));
    else context.out.data(`${pageOf(info).join("\n")}\n`);
    return 0;
  },
};

export const list: Command = {
  name: "list",
  summary: "Names of secrets, and nothing else.",
  usage: "[PREFIX]",
  examples: ["cofferdam secret list", "cofferdam secret list npm/ --json"],
  options: {},
  async run(context: CommandContext) {
    const [prefix = "", ...more] = context.args;
    if (more.length > 0) throw new CofferdamError("INVALID_ARGUMENT", "one prefix, please");
    const ids = await withSecrets(context, async (secrets, by) => {
      const names: string[] = [];
      for await (const name of allNames(secrets, by)) if (name.startsWith(prefix)) names.push(name);
      return names;
    });
    if (context.globals.json) context.out.json({ schema: "cofferdam/secret-list/v1", ids });
    else context.out.data(ids.map((id) => `${id}\n`).join(""));
    return 0;
  },
};

function documentOf(info: SecretInfo): object {
  const iso = (time: number | undefined): string | undefined => (time === undefined ? undefined : new Date(time).toISOString());
  const { secretId: id, createdAt, updatedAt, lastReadAt, expiresAt, versions, deleted: _not, ...rest } = info;
  return {
    schema: "cofferdam/secret-show/v1",
    id,
    ...rest,
    ...{ createdAt: iso(createdAt), updatedAt: iso(updatedAt), lastReadAt: iso(lastReadAt), expiresAt: iso(expiresAt) },
    versions: versions.map(({ createdAt: made, validUntil, ...version }) => ({ ...version, createdAt: iso(made), validUntil: iso(validUntil) })),
  };
}

function pageOf({ secretId, owner, allow, expiresAt, autoRotate, maxReads, reads, canary, versions }: SecretInfo): string[] {
  const lists = Object.entries({
    repository: allow.repositories,
    environment: allow.environments,
    ref: allow.refs,
    job: allow.jobs,
    image: allow.imageDigests,
  });
  const said = lists.flatMap(([name, entries]) => (entries === undefined ? [] : [`${name.padEnd(12)}${line(entries.join(", "), 2000)}`]));
  return [
    `${secretId}  owner ${line(owner)}${canary ? "  canary" : ""}`,
    ...(said.length === 0 ? [`${"for".padEnd(12)}every job`] : said),
    ...(expiresAt === undefined ? [] : [`${"expires".padEnd(12)}${dateOf(expiresAt)}`]),
    ...(autoRotate === undefined ? [] : [`${"rotated".padEnd(12)}every ${Math.round(autoRotate.every / 3_600_000)} h, ${autoRotate.provider ?? "by hand"}`]),
    ...(maxReads === undefined ? [] : [`${"reads".padEnd(12)}${reads} of ${maxReads}`]),
    ...versions.filter(({ state }) => state !== "destroyed").map(versionLine),
  ];
}

function versionLine({ version, state, createdAt, validUntil }: SecretVersion): string {
  return `${`version ${version}`.padEnd(12)}${state}, of ${dateOf(createdAt)}${validUntil === undefined ? "" : `, good until ${dateOf(validUntil)}`}`;
}

function dateOf(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16)}Z`;
}

function textIn(value: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    return undefined;
  }
}
