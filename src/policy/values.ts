/** The values that a policy comes to, and what each level presets. */
import { parseBytes, parseDuration } from "../foundation/index.ts";
import { type AdvisoryValues, advisoryPreset, advisoryValues } from "./advisories.ts";
import { type AuditValues, auditPreset, auditValues } from "./audit.ts";
import { type IdentityValues, identityPreset, identityValues } from "./identity.ts";
import { type JobValues, jobPreset, jobValues } from "./jobs.ts";
import { type QuotaValues, quotaPreset, quotaValues } from "./quota.ts";
import type { Allowance, Level, Mode, PolicyFile } from "./schema.ts";
import type { ScriptException, ScriptGrant, Switch } from "./scripts.ts";
import { type SecretValues, secretPreset, secretValues } from "./secrets.ts";

/** Effective values by dotted key. Sizes in bytes, durations in ms. */
export interface PolicyValues extends AdvisoryValues, JobValues, AuditValues, QuotaValues, SecretValues, IdentityValues {
  readonly level: Level;
  readonly mode: Mode;
  readonly "packages.registries": readonly string[];
  readonly "packages.allow": readonly Allowance[];
  readonly "packages.keep": number;
  readonly "scripts.approved": readonly string[];
  readonly "scripts.grants": Readonly<Record<string, ScriptGrant>>;
  readonly "scripts.exceptions": Readonly<Partial<Record<ScriptException, Switch>>>;
  readonly "scripts.timeout": number;
  readonly "scripts.memory": number;
  readonly "scripts.disk": number;
  readonly "limits.tarball": number;
  readonly "limits.unpacked": number;
  readonly "limits.entries": number;
  readonly "limits.timeout": number;
  readonly "limits.concurrency": number;
  readonly "thresholds.integrity": number;
  readonly "thresholds.scan": number;
  readonly "thresholds.audit": number;
  readonly "thresholds.protection": number;
  readonly "thresholds.script": number;
  readonly locks: readonly string[];
}

export type PolicyKey = keyof PolicyValues;

/** What a level means before any file is read. */
export function presetOf(level: Level): PolicyValues {
  return {
    level,
    mode: "enforce",
    "packages.registries": [],
    "packages.allow": [],
    "packages.keep": 90 * 86_400_000,
    "scripts.approved": [],
    "scripts.grants": {},
    "scripts.exceptions": { esbuild: "on", husky: "on", prisma: "on" },
    "scripts.timeout": 600_000,
    "scripts.memory": 4 * 2 ** 30,
    "scripts.disk": 2 * 2 ** 30,
    ...advisoryPreset(level),
    ...jobPreset(level),
    ...quotaPreset(level),
    ...secretPreset(level),
    ...identityPreset(),
    ...auditPreset(level),
    "limits.tarball": 512 * 2 ** 20,
    "limits.unpacked": 4 * 2 ** 30,
    "limits.entries": 200_000,
    "limits.timeout": 600_000,
    "limits.concurrency": 24,
    "thresholds.integrity": 100,
    "thresholds.scan": 5000,
    "thresholds.audit": 10,
    "thresholds.protection": 50,
    "thresholds.script": 30_000,
    locks: [],
  };
}

/** The keys that a file sets, in their effective form. */
export function valuesOf(file: PolicyFile): Partial<PolicyValues> {
  const { packages, scripts, limits, thresholds } = file;
  return defined({
    level: file.level,
    mode: file.mode,
    "packages.registries": packages?.registries,
    "packages.allow": packages?.allow,
    "packages.keep": time(packages?.keep),
    "scripts.approved": scripts?.approved,
    "scripts.grants": scripts?.grants,
    "scripts.exceptions": scripts?.exceptions,
    "scripts.timeout": time(scripts?.timeout),
    "scripts.memory": size(scripts?.memory),
    "scripts.disk": size(scripts?.disk),
    ...advisoryValues(file.advisories),
    ...jobValues(file.jobs),
    ...quotaValues(file.quota),
    ...secretValues(file.secrets),
    ...identityValues(file.identity),
    ...auditValues(file.audit),
    "limits.tarball": size(limits?.tarball),
    "limits.unpacked": size(limits?.unpacked),
    "limits.entries": limits?.entries,
    "limits.timeout": time(limits?.timeout),
    "limits.concurrency": limits?.concurrency,
    "thresholds.integrity": time(thresholds?.integrity),
    "thresholds.scan": time(thresholds?.scan),
    "thresholds.audit": time(thresholds?.audit),
    "thresholds.protection": time(thresholds?.protection),
    "thresholds.script": time(thresholds?.script),
    locks: file.locks,
  });
}

function size(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseBytes(text);
}

function time(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}

type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };

function defined(values: Optional<PolicyValues>): Partial<PolicyValues> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
