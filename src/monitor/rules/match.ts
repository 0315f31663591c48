/** One value against what a rule wants of it: `equals`, `in`, `prefix`, `suffix`, `glob`, `holds`, `cidr`, `over`, `under`. */
import { BlockList, isIP } from "node:net";
import { z } from "zod";
import { CofferdamError, nearestWord } from "../../foundation/index.ts";
import type { FieldType } from "./fields.ts";

/** Lists that texts may name, by `$name`. */
export type Lists = ReadonlyMap<string, readonly string[]>;

const MAX_TEXT = 256;
const MAX_VALUES = 1000;
const text = z.string().max(MAX_TEXT);
const texts = z.union([text, z.array(text).min(1).max(MAX_VALUES)]);
const whole = z.int();
const textSchema = z.union([
  texts,
  z
    .strictObject({ in: texts.optional(), prefix: texts.optional(), suffix: texts.optional(), glob: texts.optional(), holds: texts.optional() })
    .refine(oneKey, "one of in, prefix, suffix, glob, holds"),
]);
const numberSchema = z.union([
  whole,
  z.array(whole).min(1).max(MAX_VALUES),
  z
    .strictObject({ over: whole.optional(), under: whole.optional() })
    .refine(({ over, under }) => over !== undefined || under !== undefined, "over, under or both"),
]);
const addressSchema = z.union([text, z.array(text).min(1).max(MAX_VALUES)]);
const flagSchema = z.boolean();

export type TextTest = (value: string) => boolean;

/** Throws INVALID_ARGUMENT for what the type of a field cannot be compared with. @param where it stands, for the message. */
export function textTest(want: unknown, lists: Lists, where: string): TextTest {
  const parsed = parse("text", textSchema, want, where);
  if (typeof parsed === "string" || Array.isArray(parsed)) return equalsOne(expand(parsed, lists, where));
  const { in: equals, prefix, suffix, glob, holds } = parsed;
  if (equals !== undefined) return equalsOne(expand(equals, lists, where));
  if (prefix !== undefined) return anyOf(expand(prefix, lists, where), (value, part) => value.startsWith(part));
  if (suffix !== undefined) return anyOf(expand(suffix, lists, where), (value, part) => value.endsWith(part));
  if (glob !== undefined) return anyOf(expand(glob, lists, where), matchesGlob);
  return anyOf(expand(holds ?? [], lists, where), (value, part) => value.includes(part));
}

export function numberTest(want: unknown, where: string): (value: number) => boolean {
  const parsed = parse("number", numberSchema, want, where);
  if (typeof parsed === "number") return (value) => value === parsed;
  if (Array.isArray(parsed)) {
    const set = new Set(parsed);
    return (value) => set.has(value);
  }
  const { over = Number.NEGATIVE_INFINITY, under = Number.POSITIVE_INFINITY } = parsed;
  return (value) => value > over && value < under;
}

export function flagTest(want: unknown, where: string): (value: boolean) => boolean {
  const parsed = parse("flag", flagSchema, want, where);
  return (value) => value === parsed;
}

/** Addresses and blocks of them. An IPv4 address in the notation of IPv6 is that address. */
export function addressTest(want: unknown, lists: Lists, where: string): (value: string) => boolean {
  const blocks = new BlockList();
  for (const one of expand(parse("address", addressSchema, want, where), lists, where)) addBlock(blocks, one, where);
  return (value) => {
    const plain = value.toLowerCase().startsWith("::ffff:") && isIP(value.slice(7)) === 4 ? value.slice(7) : value;
    const family = isIP(plain);
    return family !== 0 && blocks.check(plain, family === 4 ? "ipv4" : "ipv6");
  };
}

function addBlock(blocks: BlockList, entry: string, where: string): void {
  const [address = "", bits] = entry.split("/");
  const family = isIP(address);
  const width = family === 4 ? 32 : 128;
  const prefix = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
  if (family === 0 || prefix < 0 || prefix > width) throw wrong(where, `${JSON.stringify(entry)} is no address and no block of them`);
  blocks.addSubnet(address, prefix, family === 4 ? "ipv4" : "ipv6");
}

/** `*` is any text, `?` one character; nothing else is special. Linear in the text for every pattern. */
export function matchesGlob(value: string, pattern: string): boolean {
  let [at, in_, star, mark] = [0, 0, -1, 0];
  while (at < value.length) {
    if (in_ < pattern.length && pattern[in_] === "*") {
      star = in_++;
      mark = at;
    } else if (in_ < pattern.length && (pattern[in_] === "?" || pattern[in_] === value[at])) {
      in_++;
      at++;
    } else if (star >= 0) {
      in_ = star + 1;
      at = ++mark;
    } else return false;
  }
  while (pattern[in_] === "*") in_++;
  return in_ === pattern.length;
}

function expand(wanted: string | readonly string[], lists: Lists, where: string): readonly string[] {
  return [wanted].flat().flatMap((one) => {
    if (!one.startsWith("$")) return [one];
    const list = lists.get(one.slice(1));
    if (list === undefined) throw wrong(where, `no list ${one}`);
    return list;
  });
}

function equalsOne(values: readonly string[]): TextTest {
  const [first] = values;
  if (values.length === 1) return (value) => value === first;
  const set = new Set(values);
  return (value) => set.has(value);
}

function anyOf(parts: readonly string[], holds: (value: string, part: string) => boolean): TextTest {
  return (value) => parts.some((part) => holds(value, part));
}

function parse<T>(type: Exclude<FieldType, "texts">, schema: z.ZodType<T>, want: unknown, where: string): T {
  const parsed = schema.safeParse(want);
  if (parsed.success) return parsed.data;
  throw wrong(where, `cannot be compared with a ${type}: ${(JSON.stringify(want) ?? "nothing").slice(0, 100)}`);
}

function oneKey(value: object): boolean {
  return Object.values(value).filter((one) => one !== undefined).length === 1;
}

export function wrong(where: string, message: string, hint?: string): CofferdamError {
  return new CofferdamError("INVALID_ARGUMENT", `${where}: ${message}`, hint === undefined ? {} : { hint });
}

/** For {@link wrong}: the known word that was probably meant. */
export function hintOf(name: string, known: readonly string[]): string | undefined {
  const near = nearestWord(name, known);
  return near === undefined ? undefined : `did you mean ${near}?`;
}
