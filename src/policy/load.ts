/**
 * The effective policy: preset, then files, environment and flags in order of rank. Two rules stand above the order: a key
 * that a higher file locks does not change below it, and what a repository says may only tighten unless the user trusts it.
 */
import { hash } from "node:crypto";
import { basename } from "node:path";
import { type Clock, CofferdamError, canonicalText, systemClock } from "../foundation/index.ts";
import { type PolicyPlaces, policyPlaces } from "./discover.ts";
import { type LoadedFile, readPolicyFile } from "./file.ts";
import { type Allowance, KEYS, type KeyRule, LEVELS, type PolicyFile } from "./schema.ts";
import { TrustStore } from "./trust.ts";
import { type PolicyKey, type PolicyValues, presetOf, valuesOf } from "./values.ts";

export interface PolicyRequest {
  readonly cwd: string;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /** What flags of the command line set. */
  readonly flags?: Pick<PolicyFile, "level" | "mode">;
  /** --config: a file that the user names. */
  readonly configPath?: string | undefined;
  /** True when the environment comes from a workflow file: then it may only tighten. */
  readonly untrustedEnvironment?: boolean;
  /** Folder of the machine's policy. Default /etc/cofferdam. */
  readonly etcFolder?: string;
  readonly clock?: Clock;
}

/** Where a value comes from: `level medium`, `environment`, `flag`, or `cofferdam.yaml:4`. */
export interface Origin {
  readonly source: string;
  /** Values of lower rank that it replaced, nearest first. */
  readonly over: readonly string[];
}

export interface EffectivePolicy {
  readonly values: PolicyValues;
  readonly origins: ReadonlyMap<PolicyKey, Origin>;
  /** What was not applied and why, and exceptions that have run out. For the user to read. */
  readonly notices: readonly string[];
  /** Files that took part, the strongest first, by name. */
  readonly sources: readonly string[];
  /** Canonical text of the values; stored once, and named in every record by {@link digest}. */
  readonly text: string;
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
  /** The allowance that covers `RULE SUBJECT` today, if any. */
  allowance(what: string): Allowance | undefined;
}

interface Layer {
  readonly name: string;
  readonly values: Partial<PolicyValues>;
  readonly file?: LoadedFile;
  /** May only tighten. */
  readonly untrusted: boolean;
}

/** Throws INVALID_ARGUMENT (a broken file), POLICY_LOCKED, NOT_FOUND (--config), PAYLOAD_TOO_LARGE. */
export async function loadPolicy(request: PolicyRequest): Promise<EffectivePolicy> {
  const places = policyPlaces(request.cwd, request.env, request.etcFolder);
  const merge = new Merge();
  for (const layer of await layersOf(request, places)) merge.apply(layer);
  return merge.result(request.clock ?? systemClock);
}

async function layersOf(request: PolicyRequest, places: PolicyPlaces): Promise<Layer[]> {
  const layers: Layer[] = [];
  const add = (file: LoadedFile | undefined, untrusted: boolean, name = file?.path): void => {
    if (file !== undefined) layers.push({ name: name ?? file.path, values: valuesOf(file.policy), file, untrusted });
  };
  add(await readPolicyFile(places.etc), false);
  add(await readPolicyFile(places.user), false);
  if (places.repository !== undefined) {
    const file = await readPolicyFile(places.repository);
    const trusted = file !== undefined && (await new TrustStore(places.userFolder).isTrusted(file.path, file.sha256));
    add(file, !trusted, basename(places.repository));
  }
  if (request.configPath !== undefined) {
    const file = await readPolicyFile(request.configPath);
    if (file === undefined) throw new CofferdamError("NOT_FOUND", `no policy file ${request.configPath}`);
    add(file, false, request.configPath);
  }
  layers.push({ name: "environment", values: environmentValues(request.env), untrusted: request.untrustedEnvironment === true });
  layers.push({ name: "flag", values: valuesOf({ version: 1, ...request.flags }), untrusted: false });
  return layers;
}

class Merge {
  #values: PolicyValues = presetOf("medium");
  readonly #origins = new Map<PolicyKey, Origin>();
  readonly #lockedBy = new Map<string, string>();
  readonly #notices: string[] = [];
  readonly #sources: string[] = [];

  apply(layer: Layer): void {
    if (layer.file !== undefined) this.#sources.unshift(layer.name);
    for (const rule of KEYS) {
      const key = keyOf(rule.key);
      // Locks of a file that nobody trusted bind nobody, and are not shown as if they did.
      const asked = key === "locks" && layer.untrusted ? undefined : layer.values[key];
      if (asked === undefined) continue;
      const before = this.#values[key];
      // First: what may not loosen is not applied, and so cannot run into a lock and stop the whole load either.
      const after = this.#admitted(rule, before, asked, layer);
      if (after === undefined) continue;
      if (same(before, after)) {
        if (!this.#origins.has(key)) this.#note(key, layer);
        continue;
      }
      const lock = this.#lockedBy.get(key);
      if (lock !== undefined) {
        throw new CofferdamError("POLICY_LOCKED", `${key} is locked by ${lock}; ${placeOf(layer, key)} asks for ${shown(asked)}`, {
          details: { key, lockedBy: lock },
          hint: `remove it there, or have the lock lifted in ${lock}`,
        });
      }
      this.#values = { ...this.#values, [key]: after };
      this.#note(key, layer);
      if (key === "level") this.#takePreset();
    }
    if (!layer.untrusted) for (const key of layer.values.locks ?? []) if (!this.#lockedBy.has(key)) this.#lockedBy.set(key, placeOf(layer, "locks"));
  }

  /** What a layer's value comes to, without what it may not loosen; undefined when nothing of it is left. */
  #admitted(rule: KeyRule, before: unknown, asked: unknown, layer: Layer): unknown {
    if (rule.merge !== "entries") {
      const after = rule.merge === "add" ? added(before, asked) : asked;
      return this.#mayChange(rule, before, after, layer) ? after : undefined;
    }
    const known = entriesOf(before);
    const left = [...entriesOf(asked)].filter(([entry, value]) => this.#mayChange(rule, known.get(entry), value, layer, entry));
    return left.length === 0 ? undefined : Object.fromEntries([...known, ...left]);
  }

  #mayChange(rule: KeyRule, before: unknown, after: unknown, layer: Layer, entry?: string): boolean {
    if (!layer.untrusted || !rule.loosens(before, after)) return true;
    const what = entry === undefined ? rule.key : `${rule.key} of ${entry}`;
    this.#notices.push(`ignored: ${placeOf(layer, rule.key, entry)} loosens ${what}; read the file, then: cofferdam policy trust`);
    return false;
  }

  /** A new level presets what nobody has set so far; a locked key stays what it was when it was locked. */
  #takePreset(): void {
    const preset = presetOf(this.#values.level);
    const kept = POLICY_KEYS.filter((key) => this.#origins.has(key) || this.#lockedBy.has(key));
    this.#values = { ...preset, ...Object.fromEntries(kept.map((key) => [key, this.#values[key]])) };
  }

  result(clock: Clock): EffectivePolicy {
    const values = this.#values;
    const text = canonicalText(JSON.parse(JSON.stringify(values)));
    const today = new Date(clock.now()).toISOString().slice(0, 10);
    const expired = values["packages.allow"].filter((allowance) => allowance.until !== undefined && allowance.until < today);
    const notices = [...this.#notices, ...expired.map((allowance) => `expired: the exception for ${allowance.what} ended on ${allowance.until}`)];
    return {
      values,
      origins: this.#origins,
      notices,
      sources: this.#sources,
      text,
      digest: `sha256:${hash("sha256", text, "hex")}`,
      allowance: (what) => values["packages.allow"].find((allowance) => !expired.includes(allowance) && covers(allowance.what, what)),
    };
  }

  #note(key: PolicyKey, layer: Layer): void {
    const before = this.#origins.get(key);
    this.#origins.set(key, { source: placeOf(layer, key), over: before === undefined ? [] : [before.source, ...before.over] });
  }
}

/** `missing-hash left-pad@*` covers every version; nothing else is a pattern. */
function covers(allowed: string, what: string): boolean {
  return allowed === what || (allowed.endsWith("@*") && what.startsWith(allowed.slice(0, -1)) && !what.slice(allowed.length - 1).includes("@"));
}

function added(before: unknown, asked: unknown): unknown {
  if (!Array.isArray(before) || !Array.isArray(asked)) return asked;
  const known = new Set(before.map((item) => JSON.stringify(item)));
  return [...before, ...asked.filter((item) => !known.has(JSON.stringify(item)))];
}

/** A Map: packages are named `constructor` and `toString`, too. */
function entriesOf(value: unknown): ReadonlyMap<string, unknown> {
  return typeof value === "object" && value !== null ? new Map(Object.entries(value)) : new Map();
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function placeOf(layer: Layer, key: string, entry?: string): string {
  const line = layer.file?.lineOf(key, entry);
  return line === undefined ? layer.name : `${layer.name}:${line}`;
}

function shown(value: unknown): string {
  return JSON.stringify(value).slice(0, 120);
}

function environmentValues(env: Readonly<NodeJS.ProcessEnv>): Partial<PolicyValues> {
  const level = env["COFFERDAM_LEVEL"];
  const mode = env["COFFERDAM_MODE"];
  const known = LEVELS.find((name) => name === level);
  if (level !== undefined && level !== "" && known === undefined)
    throw new CofferdamError("INVALID_ARGUMENT", `COFFERDAM_LEVEL is ${JSON.stringify(level.slice(0, 40))}, not one of ${LEVELS.join(", ")}`);
  if (mode !== undefined && mode !== "" && mode !== "enforce" && mode !== "observe")
    throw new CofferdamError("INVALID_ARGUMENT", `COFFERDAM_MODE is ${JSON.stringify(mode.slice(0, 40))}, not enforce or observe`);
  return { ...(known === undefined ? {} : { level: known }), ...(mode === "enforce" || mode === "observe" ? { mode } : {}) };
}

function keyOf(key: string): PolicyKey {
  const known = POLICY_KEYS.find((name) => name === key);
  if (known === undefined) throw new CofferdamError("INTERNAL", `no policy value for the key ${key}`);
  return known;
}

const POLICY_KEYS: readonly PolicyKey[] = [
  "level",
  "mode",
  "packages.registries",
  "packages.allow",
  "packages.keep",
  "scripts.approved",
  "scripts.grants",
  "scripts.exceptions",
  "scripts.timeout",
  "scripts.memory",
  "scripts.disk",
  "advisories.osv",
  "advisories.kev",
  "advisories.deny",
  "advisories.only-fixable",
  "advisories.only-new",
  "advisories.exploited",
  "advisories.ratchet",
  "advisories.base",
  "advisories.warn-age",
  "advisories.deny-age",
  "audit.checkpoint.events",
  "audit.checkpoint.interval",
  "audit.copy",
  "audit.copy-within",
  "audit.witnesses",
  "audit.retention.default",
  "audit.retention.categories",
  "audit.retention.standards",
  "jobs.profile",
  "jobs.authorization",
  "jobs.unscanned",
  "jobs.network",
  "jobs.egress",
  "jobs.on-refusal",
  "jobs.name-servers",
  "jobs.timeout",
  "jobs.log",
  "jobs.secrets",
  "jobs.secret-variables",
  "jobs.monitor",
  "jobs.monitor-rules",
  "jobs.suspicious",
  "jobs.evidence-keep",
  "jobs.evidence-size",
  "quota.enforcement",
  "quota.host-share",
  "quota.slots",
  "quota.overcommit",
  "quota.overcommit-ratio",
  "quota.defaults",
  "quota.ceiling",
  "quota.tiers",
  "quota.organisations",
  "quota.repositories",
  "secrets.backend",
  "secrets.key",
  "secrets.passphrase-file",
  "secrets.key-command",
  "secrets.grace",
  "secrets.rotate-every",
  "secrets.rotate-after-use",
  "secrets.lease",
  "secrets.reads-per-job",
  "secrets.providers",
  "secrets.vault",
  "identity.issuer",
  "identity.audience",
  "identity.jobs",
  "limits.tarball",
  "limits.unpacked",
  "limits.entries",
  "limits.timeout",
  "limits.concurrency",
  "thresholds.integrity",
  "thresholds.scan",
  "thresholds.audit",
  "thresholds.protection",
  "thresholds.script",
  "locks",
];
