/** The `secrets` part of cofferdam.yaml: where they are kept, how their key is kept, and for how long a job has one. docs/secrets.md */
import { z } from "zod";
import { parseDuration } from "../foundation/index.ts";
import { type Age, ageOf, ageText } from "./advisories.ts";
import { durationText } from "./amount-texts.ts";

/** Where new values come from: a program, or a path of the vault. */
export interface SecretProviderWords {
  readonly command?: readonly string[] | undefined;
  readonly vault?: string | undefined;
  /** Which field of the vault's answer. */
  readonly field?: string | undefined;
}

/** Keys of `secrets.vault`. */
export const VAULT_WORDS: readonly string[] = [
  ...["address", "namespace", "mount", "prefix", "ca-file"],
  ...["auth", "auth-mount", "token-file", "role", "role-id", "secret-id-file", "jwt-file"],
];

export interface SecretsFile {
  readonly backend?: "file" | "vault" | undefined;
  readonly key?: "file" | "passphrase" | "command" | undefined;
  readonly "passphrase-file"?: string | undefined;
  readonly "key-command"?: readonly string[] | undefined;
  readonly grace?: string | undefined;
  readonly "rotate-every"?: string | undefined;
  readonly "rotate-after-use"?: boolean | undefined;
  readonly lease?: string | undefined;
  readonly "reads-per-job"?: number | "any" | undefined;
  readonly providers?: Readonly<Record<string, SecretProviderWords>> | undefined;
  readonly vault?: Readonly<Record<string, string>> | undefined;
}

/** Effective values, durations in ms. */
export interface SecretValues {
  readonly "secrets.backend": "file" | "vault";
  readonly "secrets.key": "file" | "passphrase" | "command";
  /** `none`, or a path. */
  readonly "secrets.passphrase-file": string;
  readonly "secrets.key-command": readonly string[];
  readonly "secrets.grace": number;
  readonly "secrets.rotate-every": number;
  readonly "secrets.rotate-after-use": boolean;
  readonly "secrets.lease": Age;
  readonly "secrets.reads-per-job": number | "any";
  readonly "secrets.providers": Readonly<Record<string, SecretProviderWords>>;
  readonly "secrets.vault": Readonly<Record<string, string>>;
}

const duration = durationText("24h");
const path = z.string().startsWith("/", "an absolute path").max(1000);
const command = z.array(z.string().min(1).max(4096)).min(1).max(64);
const word = z.string().min(1).max(2048);

const provider: z.ZodType<SecretProviderWords> = z
  .strictObject({ command: command.optional(), vault: word.optional(), field: word.optional() })
  .refine(({ command: program, vault, field }) => (program === undefined) !== (vault === undefined) && (vault === undefined) === (field === undefined), {
    message: "a provider is {command: [PROGRAM]}, or {vault: PATH, field: NAME}",
  });

export const secretsSchema: z.ZodType<SecretsFile> = z.strictObject({
  backend: z.enum(["file", "vault"]).optional().describe("where secrets are kept: sealed in the state directory, or in a vault (KV v2)"),
  key: z
    .enum(["file", "passphrase", "command"])
    .optional()
    .describe("how the master key is kept: as it is in a private file, or there under a passphrase or a command"),
  "passphrase-file": path.optional().describe("private file whose first line is the passphrase of the master key"),
  "key-command": command.optional().describe("program that wraps and unwraps the master key"),
  grace: duration.optional().describe("how long a superseded version stays good"),
  "rotate-every": duration.optional().describe("time between rotations of secrets that do not say it themselves"),
  "rotate-after-use": z.boolean().optional().describe("what a job has read is due for its next value when the job's lease has ended"),
  lease: ageText.optional().describe("longest time that a job may keep a secret"),
  "reads-per-job": z
    .union([z.literal("any"), z.int().min(1).max(1_000_000)])
    .optional()
    .describe("how often one job may read a secret"),
  providers: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, "a name is like npm-token"), provider)
    .optional()
    .describe("where new values come from, by a name that secrets give"),
  vault: z
    .record(z.string(), word)
    .superRefine((words, context) => {
      for (const name of Object.keys(words))
        if (!VAULT_WORDS.includes(name)) context.addIssue({ code: "custom", path: [name], message: `no such key: ${VAULT_WORDS.join(", ")}` });
    })
    .optional()
    .describe(`the vault, for backend vault and for providers: ${VAULT_WORDS.join(", ")}`),
});

const MINUTE = 60_000;
const DAY: number = 1440 * MINUTE;

type Level = "low" | "medium" | "high" | "paranoid";
type Rules = Pick<SecretValues, "secrets.lease" | "secrets.reads-per-job" | "secrets.rotate-after-use">;

const RULES: Readonly<Record<Level, Rules>> = {
  low: { "secrets.lease": "never", "secrets.reads-per-job": "any", "secrets.rotate-after-use": false },
  medium: { "secrets.lease": "never", "secrets.reads-per-job": "any", "secrets.rotate-after-use": false },
  high: { "secrets.lease": 60 * MINUTE, "secrets.reads-per-job": 1, "secrets.rotate-after-use": false },
  paranoid: { "secrets.lease": 10 * MINUTE, "secrets.reads-per-job": 1, "secrets.rotate-after-use": true },
};

export function secretPreset(level: Level): SecretValues {
  return {
    "secrets.backend": "file",
    "secrets.key": "file",
    "secrets.passphrase-file": "none",
    "secrets.key-command": [],
    "secrets.grace": DAY,
    "secrets.rotate-every": 90 * DAY,
    ...RULES[level],
    "secrets.providers": {},
    "secrets.vault": {},
  };
}

type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** The keys that a file sets. */
export function secretValues(file: SecretsFile | undefined): Optional<SecretValues> {
  const time = (text: string | undefined): number | undefined => (text === undefined ? undefined : parseDuration(text));
  return {
    "secrets.backend": file?.backend,
    "secrets.key": file?.key,
    "secrets.passphrase-file": file?.["passphrase-file"],
    "secrets.key-command": file?.["key-command"],
    "secrets.grace": time(file?.grace),
    "secrets.rotate-every": time(file?.["rotate-every"]),
    "secrets.rotate-after-use": file?.["rotate-after-use"],
    "secrets.lease": ageOf(file?.lease),
    "secrets.reads-per-job": file?.["reads-per-job"],
    "secrets.providers": file?.providers,
    "secrets.vault": file?.vault,
  };
}

/** True when a job may read more often. */
export function readsMore(before: unknown, after: unknown): boolean {
  const [was, is] = [before, after].map((value) => (value === "any" ? Number.POSITIVE_INFINITY : Number(value)));
  return (is ?? 0) > (was ?? 0);
}

/** The rules of a level, as the constructor of SecretManagementSystem takes them. */
export interface SecretRules {
  readonly rotation: { readonly grace: number; readonly every: number; readonly afterUse: boolean };
  /** ms; absent: no limit. */
  readonly lease?: number | undefined;
  readonly readsPerJob?: number | undefined;
}

export function secretRulesOf(values: SecretValues): SecretRules {
  const [lease, reads] = [values["secrets.lease"], values["secrets.reads-per-job"]];
  return {
    rotation: { grace: values["secrets.grace"], every: values["secrets.rotate-every"], afterUse: values["secrets.rotate-after-use"] },
    ...(lease !== "never" && { lease }),
    ...(reads !== "any" && { readsPerJob: reads }),
  };
}
