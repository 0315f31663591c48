/**
 * The `scripts` part of cofferdam.yaml: which install scripts are approved, and what a script may have besides its own
 * package. What a key or a path may be is decided here and nowhere else, so that whoever runs scripts need not ask again.
 */
import { z } from "zod";

/** What a package's scripts get on top of the jail. */
export interface ScriptGrant {
  /** `host:port`, DNS names only. */
  readonly net?: readonly string[] | undefined;
  /** Paths from the project's root. */
  readonly write?: readonly string[] | undefined;
}

/** Exceptions that ship with the product; src/packages/scripts/exceptions.ts says what each lets through. */
export const SCRIPT_EXCEPTIONS = ["esbuild", "husky", "prisma"] as const;
export type ScriptException = (typeof SCRIPT_EXCEPTIONS)[number];
export type Switch = "on" | "off";

/** A key of `scripts.grants` or an entry of `scripts.approved`, taken apart. */
export interface ScriptKey {
  readonly name: string;
  readonly version: string | undefined;
  /** `sha512-...` of the tarball. */
  readonly integrity: string | undefined;
}

const PART = "[A-Za-z0-9~-][A-Za-z0-9._~-]*";
const KEY: RegExp = new RegExp(
  `^(?<name>(?:@${PART}/)?${PART})(?:@(?<version>\\d+\\.\\d+\\.\\d+(?:-[0-9A-Za-z.-]+)?(?:\\+[0-9A-Za-z.-]+)?)(?:#(?<integrity>sha512-[A-Za-z0-9+/]{86}==))?)?$`,
);

/**
 * `name`, `name@version` or `name@version#sha512-...`; for own code, whose name is anybody's choice, its place: `.` for the
 * project, `./packages/x` for a folder of it. Undefined for anything else.
 */
export function parseScriptKey(text: string): ScriptKey | undefined {
  if (text === "." || (text.startsWith("./") && text.length <= MAX_KEY && isGrantablePath(text.slice(2))))
    return { name: text, version: undefined, integrity: undefined };
  const groups = text.length > MAX_KEY ? undefined : KEY.exec(text)?.groups;
  const name = groups?.["name"];
  return name === undefined || name.length > 214 ? undefined : { name, version: groups?.["version"], integrity: groups?.["integrity"] };
}

const MAX_KEY = 600;
const MAX_GRANTS = 1000;
const MAX_LIST = 100;

const scriptKey = z
  .string()
  .max(MAX_KEY)
  .refine(
    (text) => parseScriptKey(text) !== undefined,
    "not a package; write it like esbuild, esbuild@0.25.2 or esbuild@0.25.2#sha512-..., and for your own code . or ./packages/x",
  );
const boundKey = z
  .string()
  .max(MAX_KEY)
  .refine((text) => parseScriptKey(text)?.integrity !== undefined, "not bound to a hash; write it like esbuild@0.25.2#sha512-...");
const destination = z.string().max(260).refine(isGrantableHost, "not a DNS name in lower case with a port; write it like storage.example.com:443");
const place = z.string().max(1024).refine(isGrantablePath, "not a path inside the project that a script may write; write it like node_modules/.prisma");

/** `scripts.grants`. */
export const grantsSchema: z.ZodType<Readonly<Record<string, ScriptGrant>>> = z
  .record(scriptKey, z.strictObject({ net: z.array(destination).max(MAX_LIST).optional(), write: z.array(place).max(MAX_LIST).optional() }))
  .refine((grants) => Object.keys(grants).length <= MAX_GRANTS, `more than ${MAX_GRANTS} grants`);

/** `scripts.approved`. */
export const approvedSchema: z.ZodType<readonly string[]> = z.array(boundKey).max(MAX_GRANTS);

/** `scripts.exceptions`. */
export const exceptionsSchema: z.ZodType<Readonly<Partial<Record<ScriptException, Switch>>>> = z.partialRecord(
  z.enum(SCRIPT_EXCEPTIONS),
  z.enum(["on", "off"]),
);

/** True when a grant has a destination or a path that the one before it (if any) has not. */
export function addsToGrant(before: unknown, after: unknown): boolean {
  const [had, has] = [grantWords(before), grantWords(after)];
  return [...has].some((word) => !had.has(word));
}

function grantWords(value: unknown): Set<string> {
  if (typeof value !== "object" || value === null) return new Set();
  return new Set(Object.entries(value).flatMap(([kind, list]) => (Array.isArray(list) ? list.map((item) => `${kind} ${String(item)}`) : [])));
}

/**
 * A DNS name and a port. Addresses would go around the names that people read and agree to, in any of the ways that
 * resolvers accept them (127.1, 2130706433, 0x7f.1): a name whose last label is a number is one of those.
 */
export function isGrantableHost(text: string): boolean {
  const match = /^(?<host>[a-z0-9.-]{1,253}):(?<port>[1-9]\d{0,4})$/.exec(text)?.groups;
  const labels = match?.["host"]?.split(".") ?? [];
  const last = labels.at(-1) ?? "";
  return (
    Number(match?.["port"]) <= 65_535 &&
    labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label)) &&
    !/^(?:\d+|0x[0-9a-f]*)$/.test(last) &&
    last !== "localhost"
  );
}

/** What decides about later runs: the approvals and policies themselves, what is installed, and what starts programs. */
const DECIDING: ReadonlySet<string> = new Set([
  "package.json",
  "package-lock.json",
  "npm-shrinkwrap.json",
  ".package-lock.json",
  "yarn.lock",
  "pnpm-lock.yaml",
  "pnpm-workspace.yaml",
  "bun.lock",
  "bun.lockb",
  "cofferdam.yaml",
  ".npmrc",
  ".yarnrc",
  ".yarnrc.yml",
  // As a whole it would hold other packages' commands.
  "node_modules",
]);

/** A path from the project's root that a grant may name. Letters count alike in both cases: some file systems think so too. */
export function isGrantablePath(path: string): boolean {
  const parts = path.toLowerCase().split("/");
  return (
    !/[\p{Cc}\\]/u.test(path) &&
    parts.every((part) => part !== "" && part !== "." && part !== ".." && !part.startsWith(".git")) &&
    !DECIDING.has(parts.at(-1) ?? "") &&
    !parts.some((part, i) => part === "node_modules" && parts[i + 1] === ".bin")
  );
}
