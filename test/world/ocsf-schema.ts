/** Validates OCSF events against the published schema (ocsf-1.8.0.json beside this): what is required, what types and values are allowed, nothing else. */
import { readFileSync } from "node:fs";
import { z } from "zod";

const attribute = z.strictObject({
  type: z.string(),
  object: z.boolean().optional(),
  array: z.boolean().optional(),
  required: z.boolean().optional(),
  /** Attributes of profiles are there only in events that declare the profile. */
  profiles: z.array(z.string()).optional(),
  /** The attribute that has the caption of this one's value. */
  sibling: z.string().optional(),
  deprecated: z.boolean().optional(),
  enum: z.record(z.string(), z.string()).optional(),
});
const table = z.strictObject({
  attributes: z.record(z.string(), attribute),
  constraints: z.strictObject({ at_least_one: z.array(z.string()).optional(), just_one: z.array(z.string()).optional() }).optional(),
  caption: z.string().optional(),
  profiles: z.array(z.string()).optional(),
});
const schemaFile = z.strictObject({ version: z.string(), source: z.string(), classes: z.record(z.string(), table), objects: z.record(z.string(), table) });
type Table = z.infer<typeof table>;

export class OcsfSchema {
  readonly #schema = schemaFile.parse(JSON.parse(readFileSync(new URL("ocsf-1.8.0.json", import.meta.url), "utf8")));

  /** What is wrong with an event; nothing when it is as the schema says. */
  problems(event: unknown): string[] {
    const problems: string[] = [];
    if (!isObject(event)) return ["not an object"];
    const of = this.#schema.classes[String(event["class_uid"])];
    if (of === undefined) return [`class ${String(event["class_uid"])} is not in the table`];
    const metadata = event["metadata"];
    const declared = isObject(metadata) && Array.isArray(metadata["profiles"]) ? metadata["profiles"].map(String) : [];
    for (const profile of declared) if (of.profiles?.includes(profile) !== true) problems.push(`profile ${profile} is not one of the class`);
    if (isObject(metadata) && metadata["version"] !== this.#schema.version) problems.push("metadata.version");
    if (event["class_name"] !== of.caption) problems.push("class_name is not the class's caption");
    if (Number(event["type_uid"]) !== Number(event["class_uid"]) * 100 + Number(event["activity_id"])) problems.push("type_uid is not of class and activity");
    this.#check(event, of, declared, "", problems);
    return problems;
  }

  #check(value: Readonly<Record<string, unknown>>, of: Table, profiles: readonly string[], path: string, problems: string[]): void {
    for (const [name, one] of Object.entries(value)) {
      const known = Object.hasOwn(of.attributes, name) ? of.attributes[name] : undefined;
      const at = `${path}${name}`;
      if (known === undefined) problems.push(`${at}: no such attribute`);
      else {
        if (known.deprecated === true) problems.push(`${at}: deprecated`);
        if (known.profiles !== undefined && !known.profiles.some((profile) => profiles.includes(profile)))
          problems.push(`${at}: of a profile that is not declared`);
        if (known.array === true && !Array.isArray(one)) problems.push(`${at}: not a list`);
        for (const item of known.array === true && Array.isArray(one) ? one : [one]) this.#value(item, known, profiles, at, problems);
        const caption = known.enum?.[String(one)];
        if (
          known.sibling !== undefined &&
          Object.hasOwn(value, known.sibling) &&
          caption !== undefined &&
          caption !== "Other" &&
          value[known.sibling] !== caption
        )
          problems.push(`${at}: ${String(one)} is ${caption}, not ${String(value[known.sibling])}`);
        if (caption === "Other" && known.sibling !== undefined && !Object.hasOwn(value, known.sibling)) problems.push(`${at}: Other without its name`);
      }
    }
    for (const [name, { required, profiles: own }] of Object.entries(of.attributes))
      if (required === true && (own === undefined || own.some((profile) => profiles.includes(profile))) && !Object.hasOwn(value, name))
        problems.push(`${path}${name}: required`);
    const { at_least_one: some, just_one: single } = of.constraints ?? {};
    if (some !== undefined && !some.some((name) => Object.hasOwn(value, name))) problems.push(`${path}: none of ${some.join(", ")}`);
    if (single !== undefined && single.filter((name) => Object.hasOwn(value, name)).length !== 1)
      problems.push(`${path}: not just one of ${single.join(", ")}`);
  }

  #value(value: unknown, { type, object, enum: values }: z.infer<typeof attribute>, profiles: readonly string[], at: string, problems: string[]): void {
    if (object === true) {
      if (!isObject(value)) problems.push(`${at}: not an object`);
      // `unmapped` is of the type "object", which may hold anything.
      else if (type !== "object") {
        const of = this.#schema.objects[type];
        if (of === undefined) problems.push(`${at}: object ${type} is not in the table`);
        else this.#check(value, of, profiles, `${at}.`, problems);
      }
      return;
    }
    const right =
      type === "boolean_t"
        ? typeof value === "boolean"
        : type === "integer_t" || type === "long_t" || type === "timestamp_t"
          ? Number.isSafeInteger(value)
          : type === "string_t" || type === "username_t"
            ? typeof value === "string" && value.isWellFormed()
            : undefined;
    if (right === undefined) problems.push(`${at}: type ${type} is not one that is checked here`);
    else if (!right) problems.push(`${at}: not a ${type}: ${JSON.stringify(value)?.slice(0, 60)}`);
    if (values !== undefined && !Object.hasOwn(values, String(value))) problems.push(`${at}: ${String(value)} is not among its values`);
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
