/** `cofferdam secret rewrap|key|recover`: the master key, and a store that was put back. */
import { CofferdamError } from "../../foundation/index.ts";
import { createPrivate, type KeyDesk, type SecretActor } from "../../secrets/index.ts";
import type { Command, CommandContext, OptionSpec } from "./command.ts";
import { readPassphrase, withSecrets } from "./secret-session.ts";
import { readInput, textOf } from "./secret-value.ts";

export const rewrap: Command = {
  name: "rewrap",
  summary: "Makes a new master key and seals every value's key with it, while everything goes on. One that was interrupted goes on from there.",
  usage: "",
  examples: ["cofferdam secret rewrap"],
  options: {},
  async run(context) {
    const { keyId, values } = await withSecrets(context, async (secrets, by) => await secrets.rewrap(by));
    if (context.globals.json) context.out.json({ schema: "cofferdam/secret-rewrap/v1", keyId, values });
    else context.out.note(`cofferdam: ${values} values are under the key ${keyId}; make a new backup: cofferdam secret key backup FILE --passphrase-file FILE`);
    return 0;
  },
};

const PASSPHRASE: OptionSpec = { type: "string", value: "FILE", describe: "private file whose first line is the passphrase of the backup, 12 bytes or more" };

export const key: Command = {
  name: "key",
  summary: "The master key's file: what is in it, a backup under a passphrase, restoring one, keeping it as the policy says now.",
  usage: "show | backup FILE --passphrase-file FILE | restore FILE --passphrase-file FILE | protect [--old-passphrase-file FILE]",
  examples: [
    "cofferdam secret key show",
    "cofferdam secret key backup /mnt/safe/key --passphrase-file pass",
    "cofferdam secret key restore /mnt/safe/key --passphrase-file pass",
    "cofferdam secret key protect",
  ],
  options: {
    "passphrase-file": PASSPHRASE,
    "old-passphrase-file": { type: "string", value: "FILE", describe: "protect: the passphrase that it has now, when that is another one" },
  },
  run: async (context) =>
    await withSecrets(
      context,
      async ({ keys }, by) => {
        const [verb, file, ...more] = context.args;
        if (more.length === 0) {
          if (verb === "show" && file === undefined) return showKey(context, keys);
          if (verb === "protect" && file === undefined) return await protect(context, keys, by);
          if (verb === "backup" && file !== undefined) return await backup(context, keys, file, by);
          if (verb === "restore" && file !== undefined) return await restore(context, keys, file, by);
        }
        throw new CofferdamError("INVALID_ARGUMENT", "which? show, backup FILE, restore FILE or protect", { hint: "cofferdam secret key --help" });
      },
      false,
    ),
};

export const recover: Command = {
  name: "recover",
  summary: "Accepts a store of secrets that was put back on purpose: secrets that are refused because an older copy was restored.",
  usage: "--reason TEXT",
  examples: ['cofferdam secret recover --reason "restored from the backup of 2026-03-01, SEC-1423"'],
  options: { reason: { type: "string", value: "TEXT", describe: "goes on record" } },
  async run(context) {
    const { values, args, globals, out } = context;
    const reason = textOf(values["reason"]);
    if (reason === undefined || args.length > 0) throw new CofferdamError("INVALID_ARGUMENT", "--reason is missing: say why an older store is right");
    const lost = await withSecrets(context, async (secrets, by) => await secrets.recover(reason, by), false);
    if (globals.json) out.json({ schema: "cofferdam/secret-recover/v1", lost });
    else
      out.note(
        `cofferdam: the store is accepted, ${lost} changes are lost as far as is known; what was deleted or rotated since may be back: cofferdam secret list`,
      );
    return 0;
  },
};

function showKey({ globals, out }: CommandContext, keys: KeyDesk): number {
  const state = keys.state();
  if (globals.json) out.json({ schema: "cofferdam/secret-key/v1", file: keys.path, keys: state?.keys ?? [] });
  else if (state === undefined) out.note(`cofferdam: no key yet; it is made with the first secret: ${keys.path}`);
  else out.data(state.keys.map(({ id, kind }) => `${id}  ${KINDS[kind]}, ${keys.path}\n`).join(""));
  return 0;
}

const KINDS = { file: "as it is in a private file", passphrase: "under a passphrase", command: "wrapped by a command" } as const;

async function backup({ values, globals, out }: CommandContext, keys: KeyDesk, file: string, by: SecretActor): Promise<number> {
  const text = await keys.backup(passphraseIn(values["passphrase-file"]), by);
  if (!createPrivate(file, text)) throw new CofferdamError("CONFLICT", `the file exists: ${file}`);
  if (globals.json) out.json({ schema: "cofferdam/secret-key/v1", backup: file });
  else out.note(`cofferdam: the key is in ${file}, under the passphrase; keep both away from this machine, and apart`);
  return 0;
}

async function restore({ values, globals, out }: CommandContext, keys: KeyDesk, file: string, by: SecretActor): Promise<number> {
  const text = (await readInput(file)).toString("utf8");
  const ids = await keys.restore(text, passphraseIn(values["passphrase-file"]), by);
  if (globals.json) out.json({ schema: "cofferdam/secret-key/v1", restored: ids });
  else out.note(`cofferdam: restored ${ids.join(", ")}`);
  return 0;
}

async function protect({ values, globals, out }: CommandContext, keys: KeyDesk, by: SecretActor): Promise<number> {
  const old = textOf(values["old-passphrase-file"]);
  await keys.protect(by, old === undefined ? {} : { passphrase: async () => readPassphrase(old) });
  const kinds = keys.state()?.keys ?? [];
  if (globals.json) out.json({ schema: "cofferdam/secret-key/v1", file: keys.path, keys: kinds });
  else out.note(`cofferdam: the key is kept ${kinds.map(({ kind }) => KINDS[kind]).join(", ")} now (secrets.key)`);
  return 0;
}

function passphraseIn(option: unknown): Uint8Array {
  const path = textOf(option);
  if (path === undefined)
    throw new CofferdamError("INVALID_ARGUMENT", "--passphrase-file is missing", { hint: "a file with mode 0600 whose first line is the passphrase" });
  return readPassphrase(path);
}
