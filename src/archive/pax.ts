/** pax extended headers (POSIX.1-2001): records `LENGTH KEY=VALUE\n`, of which only path and size can change what is unpacked. */
import { refuse } from "./archive-fault.ts";

export interface PaxOverride {
  readonly path?: string;
  readonly size?: number;
}

/**
 * What a header says about the entry after it. Throws INTEGRITY_FAILURE for anything damaged, said twice, said for all
 * entries at once, or of effect in some readers and none in others.
 */
export function readPax(body: Buffer, global: boolean, name: string): PaxOverride {
  const override: { path?: string; size?: number } = {};
  for (const [key, value] of records(body, name)) {
    if (key.startsWith("GNU.sparse")) throw refuse("sparse", "a sparse file", name);
    if (key === "linkpath") throw refuse("link", "an extended header with a link target", name);
    // Releases of npm's extractor differ in whether they obey these.
    if (key === "mode" || key === "type") throw refuse("pax", `an extended header that sets ${key}`, name);
    if (key !== "path" && key !== "size") continue;
    if (global) throw refuse("pax", `a global header that sets ${key}`, name);
    if (override[key] !== undefined) throw refuse("pax", `an extended header that sets ${key} twice`, name);
    if (key === "path") override.path = value;
    else if (/^\d{1,15}$/.test(value)) override.size = Number(value);
    else throw refuse("size", "a size that is not a number", name);
  }
  return override;
}

/** A value with a newline is read in two ways by two readers, so there may be none. */
function* records(body: Buffer, name: string): Generator<[string, string]> {
  let at = 0;
  while (at < body.length) {
    const space = body.indexOf(0x20, at);
    const digits = space < 0 ? "" : body.toString("latin1", at, space);
    const length = /^[1-9]\d{0,5}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    if (length < digits.length + 4 || end > body.length || body[end - 1] !== 0x0a) throw refuse("pax", "a damaged extended header", name);
    const record = body.toString("utf8", space + 1, end - 1);
    const equals = record.indexOf("=");
    if (equals < 1 || record.includes("\n")) throw refuse("pax", "a damaged extended header", name);
    if (record.includes("\0")) throw refuse("control-character", "NUL in an extended header", name);
    yield [record.slice(0, equals), record.slice(equals + 1)];
    at = end;
  }
}
