/** The strict schema of {@link NetworkPolicy}, and of rules given live (applyNetworkPolicies) or with a manager (customNetworkPolicies). */
import { z } from "zod";
import { CofferdamError, parseInput } from "../../foundation/index.ts";
import type { IsolationMode, NetworkPolicy } from "../contract.ts";
import { normalName } from "./name.ts";
import { MAX_RULE_LENGTH, parseRule } from "./rule.ts";

/** Most rules of one job; lookups do not depend on their number. */
export const MAX_RULES = 50_000;
const MAX_PORTS = 1000;

/** Of a policy, a job and a manager alike. */
export const portsSchema: z.ZodType<number[]> = z.array(z.int().min(1).max(65_535)).max(MAX_PORTS);
const rules = z.array(z.string().min(1).max(MAX_RULE_LENGTH)).max(MAX_RULES);

/** `minimal` is another word for relaxed. */
export const isolationModeSchema: z.ZodType<IsolationMode> = z
  .enum(["strict", "moderate", "relaxed", "minimal"])
  .transform((mode): IsolationMode => (mode === "minimal" ? "relaxed" : mode));

/** Parts left out: nothing allowed, nothing denied. */
export const networkPolicySchema: z.ZodType<NetworkPolicy> = z.strictObject({
  mode: isolationModeSchema,
  observe: z.boolean().optional(),
  allow: rules.default([]),
  deny: rules.default([]),
  allowedPorts: portsSchema.optional(),
  blockedPorts: portsSchema.optional(),
});

/** One rule of a live policy, as the seed has it. Without ports: those of the job's policy. */
export interface EgressRule {
  readonly to: string;
  readonly ports?: readonly number[] | undefined;
  readonly protocol?: "tcp" | "udp" | undefined;
  readonly action?: "allow" | "deny" | undefined;
}

export interface IngressRule {
  /** Name of a service of the same job. */
  readonly from: string;
  readonly ports?: readonly number[] | undefined;
}

export interface NetworkPolicies {
  readonly ingress?: readonly IngressRule[] | undefined;
  readonly egress?: readonly EgressRule[] | undefined;
}

export const networkPoliciesSchema: z.ZodType<NetworkPolicies> = z.strictObject({
  ingress: z
    .array(z.strictObject({ from: z.string().min(1).max(MAX_RULE_LENGTH), ports: portsSchema.optional() }))
    .max(1000)
    .optional(),
  egress: z
    .array(
      z.strictObject({
        to: z.string().min(1).max(MAX_RULE_LENGTH),
        ports: portsSchema.optional(),
        protocol: z.enum(["tcp", "udp"]).optional(),
        action: z.enum(["allow", "deny"]).optional(),
      }),
    )
    .max(10_000)
    .optional(),
});

/** {@link NetworkPolicies} as rules: what egress allows and denies, and which services may talk to the job. */
export interface RulesOfPolicies {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly ingress: readonly IngressRule[];
}

/**
 * Throws INVALID_ARGUMENT for what the schema does not know, a rule that cannot be read, and ingress from anything but a
 * service of the same job.
 * @param services names on the job's bridge.
 */
export function rulesOfPolicies(input: unknown, services: Iterable<string>): RulesOfPolicies {
  const { ingress = [], egress = [] } = parseInput(networkPoliciesSchema, input, "network policies");
  const known = new Set(services);
  for (const { from } of ingress) requireService(from, known);
  const allow: string[] = [];
  const deny: string[] = [];
  for (const rule of egress) {
    const verdict = rule.action ?? "allow";
    const texts = textsOf(rule);
    for (const text of texts) parseRule(text, verdict);
    (verdict === "allow" ? allow : deny).push(...texts);
  }
  if (allow.length + deny.length > MAX_RULES) throw new CofferdamError("PAYLOAD_TOO_LARGE", `network policies: more than ${MAX_RULES} rules`);
  return { allow, deny, ingress };
}

function textsOf({ to, ports: given, protocol }: EgressRule): readonly string[] {
  const [, place = "", request = ""] = /^([^ ]*)(.*)$/s.exec(to) ?? [];
  const word = protocol === undefined ? "" : `/${protocol}`;
  if (given === undefined) return [`${place}${word}${request}`];
  const host = place.includes(":") && !place.startsWith("[") ? `[${place}]` : place;
  return given.map((one) => `${host}:${one}${word}${request}`);
}

function requireService(from: string, known: ReadonlySet<string>): void {
  const name = normalName(from);
  if (name !== undefined && known.has(name)) return;
  const what = `ingress from ${JSON.stringify(from.slice(0, 80))}`;
  if (name !== undefined && !name.includes("."))
    throw new CofferdamError("INVALID_ARGUMENT", `${what}: no service of this job has that name`, {
      hint: known.size === 0 ? "this job has no services" : `services: ${[...known].slice(0, 20).join(", ")}`,
    });
  throw new CofferdamError("INVALID_ARGUMENT", `${what}: a job listens on nothing from outside, and answers to what it asked for come back anyway`, {
    hint: "ingress names a service of the same job; to let the job connect there, write it as egress",
  });
}
