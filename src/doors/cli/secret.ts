/** `cofferdam secret`: what is kept sealed, for jobs. docs/secrets.md */
import type { CommandGroup } from "./command.ts";
import { importFile, put, remove, rotate } from "./secret-change.ts";
import { key, recover, rewrap } from "./secret-key.ts";
import { get, list, show } from "./secret-read.ts";

export const secretCommands: CommandGroup = {
  name: "secret",
  summary: "Secrets: kept sealed, given to the jobs that may have them, on record.",
  commands: [put, get, show, list, rotate, remove, importFile, rewrap, key, recover],
};
