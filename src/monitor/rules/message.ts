/** What a rule says, with what happened in its place. Texts of a job can hold anything: they are shown short, on one line, and cannot colour a terminal. */
import { EVENT_FIELDS, type Subject } from "./fields.ts";
import { wrong } from "./match.ts";

export type Message = (subject: Subject) => string;

const MAX_SHOWN = 120;

/** Throws INVALID_ARGUMENT for a field that there is not. */
export function compileMessage(template: string, where: string): Message {
  const parts = template.split(/\{([^{}]*)\}/);
  const readers = parts.map((part, index): Message => {
    if (index % 2 === 0) return () => part;
    const field = EVENT_FIELDS.get(part);
    if (field === undefined) throw wrong(where, `no field {${part.slice(0, 80)}}`);
    return (subject) => {
      const value = field.read(subject);
      return value === undefined ? "?" : shown(Array.isArray(value) ? value.join(" ") : String(value));
    };
  });
  return (subject) => readers.map((read) => read(subject)).join("");
}

/** On one line, without control and formatting characters, its middle left out when long. */
export function shown(text: string, most: number = MAX_SHOWN): string {
  const plain = text.slice(0, 8 * most).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
  if (plain.length <= most) return plain.toWellFormed();
  const half = Math.floor((most - 3) / 2);
  return `${plain.slice(0, half)}...${plain.slice(-half)}`.toWellFormed();
}
