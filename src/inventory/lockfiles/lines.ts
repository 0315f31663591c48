/**
 * On which line of a lockfile a package stands. JSON.parse does not say it, so the text is walked once more, with the same
 * rules: of two members with one name the later counts, and a key is a package only where the reader sees one, whatever
 * else in the text looks like it.
 */
import { MAX_LOCKFILE_BYTES } from "./npm.ts";

/** 1-based line of the entry at a place; undefined when there is none. */
export type LineFinder = (path: string) => number | undefined;

/** Walks the text when a line is first asked for: most runs never show one. @param text of a lockfile that was parsed. */
export function linesOf(text: string): LineFinder {
  let lines: ReadonlyMap<string, number> | undefined;
  return (path) => {
    lines ??= text.length > MAX_LOCKFILE_BYTES ? new Map() : new LineWalk(text).lines();
    return lines.get(path);
  };
}

interface Member {
  /** Of its key. */
  readonly line: number;
  /** What stands under `dependencies` inside. */
  readonly inner: Members;
}
type Members = ReadonlyMap<string, Member>;

const NONE: Members = new Map();
/** Deeper than that the reader of version 1 does not follow. */
const MAX_DEPTH = 64;

class LineWalk {
  readonly #text: string;
  #at = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  lines(): Map<string, number> {
    let packages: Members | undefined;
    let dependencies: Members = NONE;
    let version = "";
    this.#object((key) => {
      if (key === "packages") packages = this.#flat();
      else if (key === "dependencies") dependencies = this.#nested(1);
      else if (key === "lockfileVersion") version = this.#skip();
      else this.#skip();
    });
    const lines = new Map<string, number>();
    if (packages === undefined || Number(version) === 1) flatten(dependencies, "", lines);
    else for (const [path, { line }] of packages) lines.set(path, line);
    return lines;
  }

  #flat(): Members {
    return this.#members(() => {
      this.#skip();
      return NONE;
    });
  }

  #nested(depth: number): Members {
    return this.#members(() => {
      let inner = NONE;
      this.#object((key) => {
        if (key === "dependencies" && depth < MAX_DEPTH) inner = this.#nested(depth + 1);
        else this.#skip();
      });
      return inner;
    });
  }

  /** @param inside walks one value, and says what stands under its `dependencies`. */
  #members(inside: () => Members): Members {
    const members = new Map<string, Member>();
    this.#object((key, line) => members.set(key, { line, inner: inside() }));
    return members;
  }

  /** Walks an object's members; anything else is passed over. @param value walks what follows the key. */
  #object(value: (key: string, line: number) => void): void {
    if (this.#next() !== "{") return void this.#skip();
    this.#at += 1;
    while (this.#next() === '"') {
      const line = this.#line;
      const key = this.#key();
      if (this.#next() !== ":") return;
      this.#at += 1;
      value(key, line);
      if (this.#next() === ",") this.#at += 1;
    }
    this.#at += 1;
  }

  /** Past one value of any kind and depth. @returns a number or a word as written, empty for the rest. */
  #skip(): string {
    const first = this.#next();
    if (first !== "{" && first !== "[" && first !== '"') return this.#word();
    let open = 0;
    for (let next: string | undefined = first; next !== undefined; next = this.#next()) {
      if (next === '"') this.#string();
      else this.#at += 1;
      if (next === "{" || next === "[") open += 1;
      else if (next === "}" || next === "]") open -= 1;
      if (open === 0) break;
    }
    return "";
  }

  #word(): string {
    const start = this.#at;
    while (this.#at < this.#text.length && /[\w.+-]/.test(this.#text.charAt(this.#at))) this.#at += 1;
    return this.#text.slice(start, this.#at);
  }

  /** The next character that is no white space; its lines are counted. */
  #next(): string | undefined {
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#text.charCodeAt(this.#at);
      if (character === LINE_FEED) this.#line += 1;
      else if (character !== SPACE && character !== TAB && character !== RETURN) return this.#text[this.#at];
    }
    return undefined;
  }

  #key(): string {
    const start = this.#at;
    const escaped = this.#string();
    const literal = this.#text.slice(start, this.#at);
    return escaped ? unescaped(literal) : literal.slice(1, -1);
  }

  /** Past a string; in JSON it has no line feed. @returns true when something in it is escaped. */
  #string(): boolean {
    let escaped = false;
    for (this.#at += 1; this.#at < this.#text.length; this.#at++) {
      const character = this.#text.charCodeAt(this.#at);
      if (character === QUOTE) break;
      if (character !== BACKSLASH) continue;
      escaped = true;
      this.#at += 1;
    }
    this.#at += 1;
    return escaped;
  }
}

const [TAB, LINE_FEED, RETURN, SPACE, QUOTE, BACKSLASH] = [0x09, 0x0a, 0x0d, 0x20, 0x22, 0x5c] as const;

function unescaped(literal: string): string {
  try {
    return String(JSON.parse(literal));
  } catch {
    // Cut off: the text is none that a reader took.
    return "";
  }
}

function flatten(members: Members, prefix: string, lines: Map<string, number>): void {
  for (const [name, { line, inner }] of members) {
    const path = `${prefix}node_modules/${name}`;
    lines.set(path, line);
    flatten(inner, `${path}/`, lines);
  }
}
