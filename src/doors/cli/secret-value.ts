/** Values come by standard input or from a private file, never from an argument: arguments are everybody's to read. */
import { CofferdamError } from "../../foundation/index.ts";
import { readPrivate, type SecretMetadata } from "../../secrets/index.ts";
import type { CommandContext, OptionSpec } from "./command.ts";

export const FILE_OPTION: OptionSpec = { type: "string", value: "FILE", describe: "where the value is: a file with mode 0600, or - for standard input" };
export const EXACT_OPTION: OptionSpec = { type: "boolean", describe: "keep the newline at the end of a value of one line" };

/** Options that say something of a secret. */
export const SAID: Readonly<Record<string, OptionSpec>> = {
  owner: { type: "string", value: "NAME", describe: "whose it is (default: who stores it)" },
  expires: { type: "string", value: "DATE", describe: "good until then: 2027-01-31, or with a time" },
  repository: {
    type: "string",
    multiple: true,
    value: "O/R",
    describe: "for jobs of this repository alone; acme/* for all of acme; may be given more than once",
  },
  environment: { type: "string", multiple: true, value: "NAME", describe: "for jobs of this deployment environment alone" },
  ref: { type: "string", multiple: true, value: "REF", describe: "for jobs of this ref alone: refs/heads/main, refs/tags/v*" },
  job: { type: "string", multiple: true, value: "NAME", describe: "for jobs of this name alone" },
  image: { type: "string", multiple: true, value: "DIGEST", describe: "for jobs of this image alone: sha256:..." },
  "max-reads": { type: "string", value: "N", describe: "refuse it after so many reads" },
  rotate: { type: "string", value: "PROVIDER", describe: "where new values come from: secrets.providers of cofferdam.yaml; or due, to be told" },
  every: { type: "string", value: "TIME", describe: "time between rotations, e.g. 30d" },
  canary: { type: "boolean", describe: "nothing should ever use it: whoever does is an alarm" },
};

/** Most bytes of a value or of a file with values; what a value may have is checked where it is stored. */
const MAX_FILE = 1_000_000;

/** Throws INVALID_ARGUMENT at a terminal, where it would be shown as it is typed; NOT_FOUND; FAILED_PRECONDITION (mode). */
export async function readValue({ values }: CommandContext): Promise<Uint8Array> {
  const bytes = await readInput(textOf(values["file"]) ?? "-");
  if (values["exact"] === true || bytes.indexOf(0x0a) !== bytes.length - 1) return bytes;
  // A shell's echo ends a line; a key of several lines needs its last newline.
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1);
}

/** @param path `-` for standard input. */
export async function readInput(path: string): Promise<Buffer> {
  if (path !== "-") {
    const bytes = readPrivate(path, "the file", MAX_FILE);
    if (bytes === undefined) throw new CofferdamError("NOT_FOUND", `no file ${path}`);
    return bytes;
  }
  if (process.stdin.isTTY)
    throw new CofferdamError("INVALID_ARGUMENT", "a value typed here would be shown: pipe it in, or name a file", {
      hint: "cofferdam secret put ID --file FILE",
    });
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > MAX_FILE) throw new CofferdamError("PAYLOAD_TOO_LARGE", `standard input has more than ${MAX_FILE} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** What the options say of a secret. */
export function metadataOf({ values }: CommandContext): SecretMetadata {
  const [owner, expiresAt, provider, every, reads] = ["owner", "expires", "rotate", "every", "max-reads"].map((name) => textOf(values[name]));
  const list = (name: string): readonly string[] | undefined => {
    const value = values[name];
    return Array.isArray(value) ? value.map(String) : undefined;
  };
  if (every !== undefined && provider === undefined)
    throw new CofferdamError("INVALID_ARGUMENT", "--every says how often, --rotate says by whom", { hint: "--rotate due --every 30d" });
  return {
    owner,
    expiresAt,
    allow: { repositories: list("repository"), environments: list("environment"), refs: list("ref"), jobs: list("job"), imageDigests: list("image") },
    ...(reads !== undefined && { maxReads: Number(reads) }),
    ...(provider !== undefined && { autoRotate: { ...(provider !== "due" && { provider }), every } }),
    canary: values["canary"] === true,
  };
}

/** The one id that a command is about. */
export function onlyId({ args }: CommandContext): string {
  const [id, ...more] = args;
  if (id !== undefined && more.length === 0) return id;
  throw new CofferdamError("INVALID_ARGUMENT", id === undefined ? "which secret? one id, please" : "one id, please; a value is never an argument", {
    hint: "cofferdam secret list",
  });
}

export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
