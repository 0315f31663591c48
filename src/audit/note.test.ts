/** Signed notes, checkpoints and cosignatures against published values: Go's golang.org/x/mod/sumdb/note tests, the C2SP documents, and transparency-dev/formats. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkpointText, openCheckpoint, parseCheckpoint } from "./checkpoint.ts";
import {
  formatVerifierKey,
  MAX_NOTE_BYTES,
  openNote,
  parseNote,
  parseSignatureLine,
  parseVerifierKey,
  rawPublicKey,
  signatureLine,
  verifierKey,
} from "./note.ts";

const PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_SEED = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PETER_LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";
const names = (note: string, ...keys: string[]): string[] => openNote(note, keys.map(parseVerifierKey)).verified.map(({ key }) => key.name);
const refused = expect.objectContaining({ code: "INVALID_ARGUMENT" });
const broken = expect.objectContaining({ code: "INTEGRITY_FAILURE" });

/** An Ed25519 key from its seed (RFC 8410 wraps it in PKCS #8). */
function fromSeed(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]), format: "der", type: "pkcs8" });
}

describe("Go's note tests", () => {
  test("keys are read and written; any piece of one is not a key, nor is one with a byte changed", () => {
    for (const text of [PETER, ENOCH]) expect(formatVerifierKey(parseVerifierKey(text))).toBe(text);
    for (let i = 0; i <= PETER.length; i++)
      for (let j = i + 1; j <= PETER.length; j++)
        if (i !== 0 || j !== PETER.length) expect(() => parseVerifierKey(PETER.slice(i, j)), PETER.slice(i, j)).toThrow(refused);
    for (let i = 0; i < PETER.length; i++) {
      const mangled = PETER.slice(0, i) + String.fromCharCode(PETER.charCodeAt(i) + 1) + PETER.slice(i + 1);
      expect(() => parseVerifierKey(mangled), mangled).toThrow(refused);
    }
    expect(() => parseVerifierKey("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==")).toThrow(refused);
    expect(() => parseVerifierKey("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")).toThrow(refused);
  });

  test("signing gives the signature of the vector", () => {
    const key = fromSeed(Buffer.from(PETER_SEED, "base64").subarray(1));
    expect(rawPublicKey(key)).toEqual(parseVerifierKey(PETER).raw);
    expect(signatureLine(TEXT, "PeterNeumann", key)).toBe(PETER_LINE);
    for (const name of ["", "a+b", "a b", "a\u00a0b", "a\u2003b"]) expect(() => signatureLine(TEXT, name, key)).toThrow(refused);
    for (const text of ["abc", "", "a\x01\n"]) expect(() => signatureLine(text, "a", key)).toThrow(refused);
  });

  test("signatures of known keys are verified, those of others left aside", () => {
    const note = `${TEXT}\n${PETER_LINE}${ENOCH_LINE}`;
    expect(openNote(note, [parseVerifierKey(PETER)]).text).toBe(TEXT);
    expect(names(note, PETER)).toEqual(["PeterNeumann"]);
    expect(names(note, ENOCH, PETER)).toEqual(["PeterNeumann", "EnochRoot"]);
    expect(() => names(note)).toThrow(broken);
    expect(names(`${TEXT}\n${PETER_LINE}${PETER_LINE}${ENOCH_LINE}${ENOCH_LINE.slice(0, 60)}ABCD${ENOCH_LINE.slice(60)}`, PETER)).toEqual(["PeterNeumann"]);
    expect(() => names(`${TEXT}\n${PETER_LINE.slice(0, 60)}ABCD${PETER_LINE.slice(60)}`, PETER)).toThrow(broken);
    expect(() => names(`${TEXT}\n${PETER_LINE.repeat(101)}`, PETER)).toThrow(refused);
    expect(names(`${TEXT}\n${PETER_LINE.repeat(100)}`, PETER)).toEqual(["PeterNeumann"]);
    // The name or the id alone does not make it that key's.
    expect(() => names(`${TEXT}\n${PETER_LINE.replace("PeterNeumann", "CarmenSandiego")}`, PETER)).toThrow(broken);
    expect(() => names(`${TEXT}\n${PETER_LINE.replace("x08g", "xxxx")}`, PETER)).toThrow(broken);
  });

  test.each([
    ["no signatures", TEXT],
    ["none after the blank line", `${TEXT}\n`],
    ["a signature without its end", `${TEXT}\n${PETER_LINE.slice(0, -1)}`],
    ["a control character", `\x01${TEXT}\n${PETER_LINE}`],
    ["a name of two words", `${TEXT}\n${PETER_LINE.replace("PeterNeumann", "Bad Name")}`],
    ["another line among the signatures", `${TEXT}\n${PETER_LINE}Unexpected line.\n`],
    ["a lone surrogate", `\ud800${TEXT}\n${PETER_LINE}`],
    ["base64 with a bit too many", `${TEXT}\n${PETER_LINE.replace("nAM=", "nAN=")}`],
  ])("malformed: %s", (_name, note) => {
    expect(() => names(note, PETER)).toThrow(refused);
  });

  test("bytes that are no UTF-8, and notes past the limit", () => {
    expect(() => parseNote(Buffer.concat([Buffer.from([0xff]), Buffer.from(`${TEXT}\n${PETER_LINE}`)]))).toThrow(refused);
    expect(() => parseNote(`${"x".repeat(MAX_NOTE_BYTES)}\n\n${PETER_LINE}`)).toThrow(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
  });
});

describe("the C2SP documents", () => {
  const CHECKPOINT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
  const LOG_LINE = "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=";
  const WITNESS_LINE = "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==";

  test("the example checkpoint with its cosignature is taken apart as the document says", () => {
    const { text, signatures } = parseNote(`${CHECKPOINT}\n${LOG_LINE}\n${WITNESS_LINE}\n`);
    expect(parseCheckpoint(text)).toMatchObject({ origin: "example.com/behind-the-sofa", size: 20_852_163 });
    expect(checkpointText(parseCheckpoint(text))).toBe(CHECKPOINT);
    expect(signatures.map(({ name, id, bytes }) => [name, id, bytes.length])).toEqual([
      ["example.com/behind-the-sofa", "033de0ae", 64],
      ["witness.example.com/w1", "8d66cf3f", 72],
    ]);
    // "time 1679315147" in the document.
    expect(signatures[1]?.bytes.readBigUInt64BE(0)).toBe(1_679_315_147n);
  });

  test("the example note's text may have empty lines", () => {
    const note =
      "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
    expect(parseNote(note).text).toBe("Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n");
  });

  test("a witness's key as published has the id of type 0x04; a cosignature's time is read", () => {
    expect(parseVerifierKey("remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2")).toMatchObject({ type: 4, id: "da77ade7" });
    const line = "— witness.example ZGhGuQAAAABm/qTPeyKXD+R2rzyQsxPiP8mXum7qq/iF0u4vanlqJyocWODBt97w9uL+8qT7S5gxEHWWOworDcFiEBYJXORmnFBOBA==";
    expect(parseSignatureLine(line).bytes.readBigUInt64BE(0)).toBe(1_727_964_367n);
  });

  test.each([
    ["no root", "o\n1\n"],
    ["a size with a zero in front", "o\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"],
    ["a hexadecimal size", "o\n0x1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"],
    ["a size past 2^53", "o\n9007199254740993\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"],
    ["a root of 31 bytes", `o\n1\n${Buffer.alloc(31).toString("base64")}\n`],
    ["no origin", "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"],
    ["an empty extension line", "o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\nx\n"],
  ])("not a checkpoint: %s", (_name, text) => {
    expect(() => parseCheckpoint(text)).toThrow(refused);
  });
});

describe("checkpoints signed here", () => {
  const log = generateKeyPairSync("ed25519").privateKey;
  const witness = generateKeyPairSync("ed25519").privateKey;
  const logKey = verifierKey("cofferdam/log_1", 1, rawPublicKey(log));
  const witnessKey = verifierKey("witness.example", 4, rawPublicKey(witness));
  const text = checkpointText({ origin: "cofferdam/log_1", size: 5, root: Buffer.alloc(32, 9) });
  const note = `${text}\n${signatureLine(text, "cofferdam/log_1", log)}${signatureLine(text, "witness.example", witness, 1_700_000_000)}`;

  test("signatures of the log and of a witness are told apart", () => {
    expect(openCheckpoint(note, [logKey, witnessKey])).toMatchObject({
      size: 5,
      signed: [{ key: logKey, time: undefined }],
      cosigned: [{ key: witnessKey, time: 1_700_000_000 }],
    });
    expect(openCheckpoint(note, [witnessKey])).toMatchObject({ signed: [], cosigned: [{}] });
    // The log's key under a witness's name, and a witness's key as an ordinary one, are other keys.
    expect(() => openCheckpoint(note, [verifierKey("cofferdam/log_1", 4, logKey.raw), verifierKey("witness.example", 1, witnessKey.raw)])).toThrow(broken);
    // A key of another log signs nothing here.
    const foreign = `${text}\n${signatureLine(text, "cofferdam/log_2", log)}`;
    expect(() => openCheckpoint(foreign, [verifierKey("cofferdam/log_2", 1, logKey.raw)])).toThrow(broken);
  });

  test("property: one changed byte anywhere leaves no signature standing", () => {
    const bytes = Buffer.from(note);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const other = Buffer.from(bytes);
        other[at] = (other[at] ?? 0) ^ change;
        let opened: { signed: readonly unknown[]; cosigned: readonly unknown[]; size: number } | undefined;
        try {
          opened = openCheckpoint(other, [logKey, witnessKey]);
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/INVALID_ARGUMENT|INTEGRITY_FAILURE/) });
        }
        // A changed name or id makes a line of a key nobody knows; the other line still says what was signed.
        if (opened !== undefined) expect([opened.size, opened.signed.length + opened.cosigned.length]).toEqual([5, 1]);
      }),
      { numRuns: 500 },
    );
  });
});
