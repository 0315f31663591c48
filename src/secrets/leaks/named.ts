/** A value without a form of its own, where a name says that it is one, and chance would not make it: of low severity, since it is a guess. */
import { assigned } from "./formats.ts";
import type { Look } from "./kinds.ts";
import { BASE64, BASE64URL, DOT, entropy, isPlaceholder, runEnd, TILDE } from "./letters.ts";

const LEAST = 20;
const MOST = 256;

export const namedSecret: Look = (text, at) => {
  const name = runEnd(text, at, BASE64URL, 40);
  const from = assigned(text, name);
  if (from === undefined) return undefined;
  const to = runEnd(text, from, BASE64 | BASE64URL | DOT | TILDE, MOST + 1);
  const value = text.slice(from, to);
  return value.length >= LEAST && value.length <= MOST && isRandom(value) ? { kind: "named-secret", severity: "low", from, to } : undefined;
};

/** What has a form of its own is found by that, or is none. */
const OF_A_FORM = /^(?:gh[pousr]_|github_pat_|npm_|A[KS]IA|xox|xapp-|AIza|GOCSPX-|eyJ)|\dQ~/;

/** Neither words nor a name of something, a path, a version or a digest with its algorithm. */
function isRandom(value: string): boolean {
  if (isPlaceholder(value) || OF_A_FORM.test(value) || /^(?:sha(?:1|256|384|512)-|\/|\.)/.test(value)) return false;
  if (/^[0-9a-f]{8}-[0-9a-f]{4}-/i.test(value)) return false;
  if (/^[0-9a-f]+$/i.test(value)) return value.length >= 32 && entropy(value) >= 3.2;
  const digits = value.replace(/[^0-9]/g, "").length;
  if (digits < 3 || !/[a-z]/.test(value) || !/[A-Z]/.test(value)) return false;
  // Words joined by dots, slashes and the like come in long pieces of small letters.
  if (/[a-z]{7}/.test(value) || value.split(/[._/-]/).length > 4) return false;
  return entropy(value) >= 4;
}
