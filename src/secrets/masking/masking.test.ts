/** The masker against one that reads the whole of it, byte by byte; and each form by name. */
import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Automaton } from "./automaton.ts";
import { formsOf, SHORTEST_MASKED } from "./forms.ts";
import { MaskList } from "./mask-list.ts";

const NOISE = "the quick brown fox";

function listOf(...values: readonly (string | Buffer)[]): MaskList {
  const list = new MaskList();
  for (const value of values) expect(list.add(Buffer.from(value))).toBe(undefined);
  return list;
}

/** In pieces that end at `cuts`. */
function streamed(list: MaskList, text: Buffer, cuts: readonly number[]): Buffer {
  const stream = list.stream();
  const out: Buffer[] = [];
  let from = 0;
  for (const cut of [...cuts, text.length]) {
    // A buffer of its own, filled anew afterwards: nothing may be kept of it.
    const piece = Buffer.from(text.subarray(from, cut));
    out.push(Buffer.from(stream.write(piece)));
    piece.fill(0x21);
    from = cut;
  }
  return Buffer.concat([...out, stream.flush()]);
}

interface Letter {
  readonly byte: number;
  readonly from: number;
  readonly to: number;
}

const [ESC, BEL] = ["\x1b", "\x07"];
const TERMINAL_CODE = new RegExp(`${ESC}(?:\\[[ -?]*[@-~]|[\\]PX^_][^${BEL}${ESC}]*(?:${BEL}|${ESC}\\\\)|[ -/][ -/]*[0-~]|(?![[\\]PX^_])[0-~])`, "y");

/** Every way to read it, with where each byte stands. Plain regular expressions over the whole text, nothing of the masker's. */
function readingsOf(text: Buffer): Letter[][] {
  const latin = text.toString("latin1");
  const read = (pattern: RegExp, bytesOf: (found: string) => Buffer | undefined): Letter[] => {
    const letters: Letter[] = [];
    for (let at = 0; at < latin.length; ) {
      pattern.lastIndex = at;
      const found = pattern.exec(latin)?.[0];
      const bytes = found === undefined ? undefined : bytesOf(found);
      if (found === undefined || bytes === undefined) {
        letters.push({ byte: latin.charCodeAt(at), from: at, to: at + 1 });
        at++;
        continue;
      }
      const end = at + found.length;
      for (const byte of bytes) letters.push({ byte, from: at, to: end });
      at = end;
    }
    return letters;
  };
  const names: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", v: "\v", a: "\x07", e: "\x1b", E: "\x1b" };
  const xml: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };
  const point = (value: number): Buffer | undefined =>
    value <= 0x10ffff && (value < 0xd800 || value > 0xdfff) ? Buffer.from(String.fromCodePoint(value)) : undefined;
  return [
    read(/$^/y, () => undefined),
    read(TERMINAL_CODE, () => Buffer.alloc(0)),
    read(/%[0-9a-fA-F]{2}/y, (found) => Buffer.from([Number.parseInt(found.slice(1), 16)])),
    read(/\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[0-7]{1,3}|[^0-7])/sy, (found) => {
      if (/^\\u..../s.test(found))
        return found.length === 12 ? Buffer.from(JSON.parse(`"${found}"`)) : (point(Number.parseInt(found.slice(2), 16)) ?? Buffer.from([0xed]));
      if (/^\\x../s.test(found)) return Buffer.from([Number.parseInt(found.slice(2), 16)]);
      if (/^\\[0-7]/.test(found)) return Buffer.from([Number.parseInt(found.slice(1), 8) & 0xff]);
      return Buffer.from(names[found.slice(1)] ?? found.slice(1), "latin1");
    }),
    read(/&(?:#[xX][0-9a-fA-F]{1,12}|#[0-9]{1,13}|[a-z]{2,4});/y, (found) => {
      const name = found.slice(1, -1);
      if (!name.startsWith("#")) return Object.hasOwn(xml, name) ? Buffer.from(xml[name] ?? "") : undefined;
      return point(/^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1)));
    }),
  ];
}

/** Marks what any form covers in any reading, and what is cut off at the end. */
function naive(values: readonly Buffer[], text: Buffer): Buffer {
  const covered = new Uint8Array(text.length);
  const forms = values.flatMap((value) => formsOf(value));
  for (const letters of readingsOf(text)) {
    const bytes = Buffer.from(letters.map(({ byte }) => byte));
    const cover = (from: number, to: number): void => void covered.fill(1, letters[from]?.from ?? text.length, letters[to - 1]?.to ?? 0);
    for (const form of forms) {
      for (let at = bytes.indexOf(form); at >= 0; at = bytes.indexOf(form, at + 1)) cover(at, at + form.length);
      for (let length = Math.min(form.length - 1, bytes.length); length >= SHORTEST_MASKED; length--)
        if (bytes.subarray(bytes.length - length).equals(form.subarray(0, length))) {
          cover(bytes.length - length, bytes.length);
          break;
        }
    }
  }
  const out: number[] = [];
  text.forEach((byte, at) => {
    if (covered[at] !== 1) out.push(byte);
    else if (at === 0 || covered[at - 1] !== 1) out.push(...Buffer.from("***"));
  });
  return Buffer.from(out);
}

const ALPHABET = ["a", "b", "%", "\\", "&", "'", " ", "\n", "+", "/"];
const value = fc.array(fc.constantFrom(...ALPHABET), { minLength: SHORTEST_MASKED, maxLength: 24 }).map((letters) => letters.join(""));
const CODES = ["\x1b[31m", "\x1b[0m", "\x1b[", "\x1b", "\x1b]8;;x\x07", "\x1b(B", "\x1b]0;t\x1b\\"];
const WRITERS: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => text,
  (text) => Buffer.from(text).toString("base64"),
  (text) => Buffer.from(`x${text}`).toString("base64url"),
  (text) => Buffer.from(`xy${text}z`).toString("base64"),
  (text) => Buffer.from(text).toString("hex"),
  (text) => encodeURIComponent(text),
  (text) => [...text].map((letter) => `%${letter.charCodeAt(0).toString(16).padStart(2, "0")}`).join(""),
  (text) => JSON.stringify(text),
  (text) => JSON.stringify(JSON.stringify(text)),
  (text) => [...text].map((letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
  (text) => text.replaceAll("&", "&amp;").replaceAll("'", "&#39;").replaceAll("a", "&#x61;"),
  (text) => text.replaceAll("'", "'\\''"),
  (text) => text.split("").join("\x1b[1m"),
  (text) => text.replaceAll("\n", "\r\n"),
  (text) => text.slice(0, -1),
  (text) => text.slice(1),
];

test("property: as one that sees the whole text, wherever its pieces begin and end", () => {
  const piece = fc.oneof(
    fc.record({ index: fc.nat(3), writer: fc.constantFrom(...WRITERS) }),
    fc.string({ unit: fc.constantFrom(...ALPHABET, "c", "3", "1", "u", "x", ";", "#", "m"), maxLength: 8 }),
    fc.constantFrom(...CODES, "%", "\\", "&", "%6", "\\u00", "&#3", NOISE),
  );
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 4 }),
      fc.array(piece, { maxLength: 12 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (values, pieces, cuts) => {
        const kept = values.filter((one) => formsOf(Buffer.from(one)).length > 0);
        const text = Buffer.from(pieces.map((one) => (typeof one === "string" ? one : one.writer(values[one.index % values.length] ?? ""))).join(""));
        const places = cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b);
        const wanted = naive(
          kept.map((one) => Buffer.from(one)),
          text,
        ).toString("latin1");
        expect(streamed(listOf(...kept), text, places).toString("latin1")).toBe(wanted);
      },
    ),
    { numRuns: 1500 },
  );
});

test("property: the automaton finds what indexOf finds, in texts of few letters", () => {
  const few = (most: number): fc.Arbitrary<Buffer> =>
    fc.array(fc.constantFrom(0x61, 0x62), { minLength: 5, maxLength: most }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.array(few(20), { minLength: 1, maxLength: 12 }), few(200), fc.array(fc.nat(200), { maxLength: 6 }), (patterns, text, cuts) => {
      const longest = new Map<number, number>();
      for (const pattern of patterns)
        for (let at = text.indexOf(pattern); at >= 0; at = text.indexOf(pattern, at + 1))
          longest.set(at + pattern.length, Math.max(longest.get(at + pattern.length) ?? 0, pattern.length));
      const automaton = new Automaton(patterns);
      const found = new Map<number, number>();
      let [state, from] = [0, 0];
      for (const cut of [...cuts.filter((one) => one < text.length).sort((a, b) => a - b), text.length]) {
        const base = from;
        const piece = Buffer.from(text.subarray(from, cut));
        state = automaton.scan(piece, 0, piece.length, state, (end, length) => found.set(base + end, length));
        from = cut;
      }
      expect(found).toEqual(longest);
    }),
    { numRuns: 1500 },
  );
});

describe("forms", () => {
  const secret = `p4ss 'w"rd$<&>/+\\é`;
  const shown = (text: string): string => listOf(secret).text(`before ${text} after`);
  test.each<readonly [string, string]>([
    ["as it is", secret],
    ["percent", encodeURIComponent(secret)],
    ["percent, small letters", encodeURIComponent(secret).toLowerCase().replace("p4ss", "p4ss")],
    ["percent, some of it", encodeURI(secret)],
    ["percent, all of it", [...Buffer.from(secret)].map((byte) => `%${byte.toString(16)}`).join("")],
    ["a form's plus", new URLSearchParams({ x: secret }).toString().slice(2)],
    ["JSON", JSON.stringify(secret).slice(1, -1)],
    ["JSON of another escaper", JSON.stringify(secret).slice(1, -1).replaceAll("<", "\\u003c").replaceAll("/", "\\/").replaceAll("é", "\\u00e9")],
    ["hex", Buffer.from(secret).toString("hex")],
    ["HEX", Buffer.from(secret).toString("hex").toUpperCase()],
    ["HTML", secret.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;").replaceAll("'", "&#39;")],
    ["XML", secret.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("'", "&apos;").replaceAll("é", "&#xE9;")],
    ["single quotes", secret.replaceAll("'", "'\\''")],
    ["single quotes, another way", secret.replaceAll("'", `'"'"'`)],
    ["double quotes", secret.replaceAll(/["$\\]/g, "\\$&")],
    ["printf %q", execFileSync("bash", ["-c", 'printf %q "$1"', "bash", secret], { encoding: "utf8", env: { LC_ALL: "C.UTF-8" } })],
    ["base64", Buffer.from(secret).toString("base64")],
    ["base64 without its end", Buffer.from(secret).toString("base64").replace(/=+$/, "")],
    ["base64url", Buffer.from(secret).toString("base64url")],
    ["colours inside", secret.replace(" ", " \x1b[31;1m").replace("$", "\x1b]8;;http://x\x1b\\$")],
  ])("%s", (_, text) => {
    expect(shown(text)).toBe("before *** after");
  });

  test.each([1, 2, 3, 4, 5])("base64 of %i bytes and the value: what the value decides is gone", (count) => {
    const before = "u".repeat(count - 1);
    for (const encoding of ["base64", "base64url"] as const) {
      const text = Buffer.from(`${before}:${secret}:after`).toString(encoding);
      const masked = listOf(secret).text(text);
      expect(masked).toMatch(/^[A-Za-z0-9_-]*\*\*\*[A-Za-z0-9_-]+=*$/);
      // At most one letter on either side holds some bits of it.
      expect(masked.length).toBeLessThanOrEqual(Math.ceil((count * 8) / 6) + 3 + Math.ceil((7 * 8) / 6) + 3);
    }
  });

  test("base64 that was wrapped", () => {
    const long = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-".repeat(3);
    for (const columns of ["76", "64"]) {
      const text = execFileSync("base64", ["-w", columns], { input: long, encoding: "utf8" });
      expect(listOf(long).text(text)).toMatch(/^(\*\*\*\n)+$/);
    }
  });

  test("a key of many lines: each of them, also alone, indented, or with CR LF; not what says that it is a key", () => {
    const key = `-----BEGIN PRIVATE KEY-----\n${"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n".repeat(2)}c2Vjb25k\n-----END PRIVATE KEY-----\n`;
    const list = listOf(key);
    expect(list.text(`x ${key}y`)).toBe("x ***y");
    expect(list.text("a\n    c2Vjb25k\r\nb")).toBe("a\n    ***\r\nb");
    expect(list.text(key.replaceAll("\n", "\r\n"))).toBe("-----BEGIN PRIVATE KEY-----\r\n***\r\n***\r\n***\r\n-----END PRIVATE KEY-----\r\n");
    expect(list.text("-----BEGIN PRIVATE KEY-----\n")).not.toContain("MII");
  });

  test("bytes that are no text", () => {
    const bytes = Buffer.from([0xff, 0x00, 0x1b, 0x5b, 0x80, 0x25, 0x5c, 0x26]);
    const stream = listOf(bytes).stream();
    expect(Buffer.concat([stream.write(Buffer.concat([Buffer.from("a"), bytes, Buffer.from("b")])), stream.flush()]).toString("latin1")).toBe("a***b");
  });
});

describe("what is held back", () => {
  test("nothing, where nothing has begun: a prompt is there at once", () => {
    const stream = listOf("correct horse").stream();
    expect(stream.write(Buffer.from("Password: ")).toString()).toBe("Password: ");
    expect(stream.held).toBe(0);
  });

  test("the beginning of a value, until it is known; then at most its own length", () => {
    const stream = listOf("correct horse").stream();
    expect(stream.write(Buffer.from("a corr")).toString()).toBe("a ");
    expect(stream.held).toBe(4);
    expect(stream.write(Buffer.from("ection")).toString()).toBe("correction");
    expect(stream.write(Buffer.from(" correct hors")).toString()).toBe(" ");
    expect(stream.write(Buffer.from("e!")).toString()).toBe("***!");
  });

  test("a flush shows a short beginning, masks a longer one, and what then comes of it", () => {
    const stream = listOf("correct horse").stream();
    expect([stream.write(Buffer.from("x corr")), stream.flush()].join("")).toBe("x corr");
    expect(stream.write(Buffer.from("ect horse y")).toString()).toBe("*** y");
    expect([stream.write(Buffer.from("correct h")), stream.flush()].join("")).toBe("***");
    expect(stream.write(Buffer.from("orse y")).toString()).toBe(" y");
  });

  test("a value with terminal codes without end: bounded", () => {
    const stream = listOf("correct horse").stream();
    let most = 0;
    const code = Buffer.from("\x1b[m".repeat(1000));
    stream.write(Buffer.from("corr"));
    for (let i = 0; i < 1000; i++) {
      stream.write(code);
      most = Math.max(most, stream.held);
    }
    expect(most).toBeLessThan(1.1 * 2 ** 20);
  });

  test("a value that is added meanwhile, also when it has begun", () => {
    const list = listOf("first-value");
    const stream = list.stream();
    expect(stream.write(Buffer.from("first-")).toString()).toBe("");
    list.add(Buffer.from("first-other"));
    expect([stream.write(Buffer.from("other second-value")), stream.flush()].join("")).toBe("*** second-value");
    list.add(Buffer.from("second-value"));
    expect([stream.write(Buffer.from(" second-value")), stream.flush()].join("")).toBe(" ***");
  });

  test("two streams know nothing of each other", () => {
    const list = listOf("correct horse");
    const [one, other] = [list.stream(), list.stream()];
    expect(one.write(Buffer.from("correct ")).toString()).toBe("");
    expect(other.write(Buffer.from("horse")).toString()).toBe("horse");
    expect(one.write(Buffer.from("horse")).toString()).toBe("***");
  });
});

describe("lists", () => {
  test("what is too short, or blank, is refused with the reason", () => {
    const list = new MaskList();
    expect(list.add(Buffer.from("12345"))).toMatch(/shorter than 6 bytes/);
    expect(list.add(Buffer.from("12345\n"))).toMatch(/shorter than 6 bytes/);
    expect(list.add(Buffer.from("   \t\n    "))).toMatch(/blank/);
    expect(list.size).toBe(0);
    expect(list.text("12345")).toBe("12345");
  });

  test("JSON: texts, keys and numbers, at any depth", () => {
    const list = listOf("correct horse", "12345678");
    const value = { a: ["say correct horse", 12_345_678, 1, true, null], "correct horse": { b: "Y29ycmVjdCBob3JzZQ==" } };
    expect(list.json(value)).toEqual({ a: ["say ***", "***", 1, true, null], "***": { b: "***" } });
  });

  test("more than there is room for: refused, not left out", () => {
    const list = new MaskList();
    for (let i = 0; i < 40; i++) list.add(Buffer.alloc(64 * 1024, `${i} value ${i}`));
    expect(() => list.text("x")).toThrow(expect.objectContaining({ code: "RESOURCE_EXHAUSTED" }));
  });
});

test("time: a text made to begin every value again and again takes as long as any other", () => {
  const values = ["a".repeat(20_000), `${"ab".repeat(5000)}c`, `${"aab".repeat(3000)}`];
  const list = listOf(...values);
  list.text("warm");
  const time = (text: Buffer): number => {
    const from = process.cpuUsage().user;
    list.stream().write(text);
    return (process.cpuUsage().user - from) / 1000;
  };
  const bad = Buffer.from(`${"a".repeat(19_999)}b`.repeat(100));
  // Quadratic would be 4e10 steps.
  expect(time(bad)).toBeLessThan(5000);
});
