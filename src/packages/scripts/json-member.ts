/**
 * Sets one member of a JSON object in its text. Everything else stays as it was, byte by byte: indentation, order, escapes,
 * line ends. A person reads the difference in version control and should see what was changed and nothing more.
 */
import { CofferdamError } from "../../foundation/index.ts";

interface Member {
  readonly name: string;
  /** Offsets of the name's opening quote, and of the value. */
  readonly at: number;
  readonly value: number;
  readonly end: number;
}

/**
 * @param text JSON whose outermost value is an object; it must have been parsed before, syntax is not checked again.
 * @param what the file, for messages.
 * Throws INVALID_ARGUMENT when it is no object, or has the member twice: readers differ in which of them counts.
 */
export function setMember(text: string, name: string, value: object, what: string): string {
  const open = /^\ufeff?\s*\{/.exec(text)?.[0].length;
  if (open === undefined) throw new CofferdamError("INVALID_ARGUMENT", `${what} is not a JSON object`);
  const members = membersOf(text, open);
  const own = members.filter((member) => member.name === name);
  if (own.length > 1) throw new CofferdamError("INVALID_ARGUMENT", `${what} has ${JSON.stringify(name)} twice`, { hint: "remove one of them" });
  const layout = layoutOf(text, open, members);
  const written = print(value, layout);
  const [only] = own;
  if (only !== undefined) return text.slice(0, only.value) + written + text.slice(only.end);
  const entry = `${JSON.stringify(name)}:${layout.gap}${written}`;
  const last = members.at(-1);
  if (last === undefined) return `${text.slice(0, open)}${layout.before}${entry}${layout.after}${text.slice(text.indexOf("}", open))}`;
  return `${text.slice(0, last.end)},${layout.before}${entry}${text.slice(last.end)}`;
}

/** Members of the outermost object, whose brace ends at `open`. */
function membersOf(text: string, open: number): Member[] {
  const members: Member[] = [];
  let at = skipSpace(text, open);
  while (text[at] === '"') {
    const nameEnd = endOfString(text, at);
    const value = skipSpace(text, skipSpace(text, nameEnd) + 1);
    const end = endOfValue(text, value);
    members.push({ name: String(JSON.parse(text.slice(at, nameEnd))), at, value, end });
    const next = skipSpace(text, end);
    if (text[next] !== ",") break;
    at = skipSpace(text, next + 1);
  }
  return members;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && " \t\r\n".includes(text[at] ?? "")) at += 1;
  return at;
}

/** Offset after the closing quote. */
function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

function endOfValue(text: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const character = text[at] ?? "";
    if (character === '"') {
      at = endOfString(text, at);
      if (depth === 0) return at;
      continue;
    }
    if (character === "{" || character === "[") depth += 1;
    else if (character === "}" || character === "]") {
      // The object's own end follows a number or a word directly.
      if (depth === 0) return at;
      depth -= 1;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && " \t\r\n,".includes(character)) return at;
    at += 1;
  }
  return at;
}

interface Layout {
  /** Between a comma (or the opening brace) and a member: `\n  `, or nothing in a file of one line. */
  readonly before: string;
  /** Before the closing brace. */
  readonly after: string;
  readonly newline: string;
  readonly unit: string;
  /** After a colon. */
  readonly gap: string;
}

function layoutOf(text: string, open: number, members: readonly Member[]): Layout {
  const [first] = members;
  const space = first === undefined ? "\n  " : text.slice(open, first.at);
  const newline = space.includes("\r\n") ? "\r\n" : space.includes("\n") ? "\n" : "";
  const unit = newline === "" ? "" : space.slice(space.lastIndexOf("\n") + 1);
  const gap = first !== undefined && newline === "" && !/^"[^"]*":\s/.test(text.slice(first.at, first.value + 1)) ? "" : " ";
  return { before: newline === "" ? space : newline + unit, after: first === undefined ? newline : "", newline, unit, gap };
}

function print(value: object, layout: Layout): string {
  if (layout.newline === "") return JSON.stringify(value);
  const lines = JSON.stringify(value, null, layout.unit === "" ? 2 : layout.unit).split("\n");
  return lines.map((line, i) => (i === 0 ? line : layout.unit + line)).join(layout.newline);
}
