import { chmodSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { addAllowance, KEYS, readPolicyFile } from "./index.ts";
import { parsePolicy } from "./parse.ts";

let base: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "cofferdam-policy-edges-")));
  mkdirSync(join(base, "repo"));
});
afterEach(() => rmSync(base, { recursive: true }));

const repository = (): string => join(base, "repo/cofferdam.yaml");

test("bytes that are not UTF-8 are refused, so that trust is in what was read", async () => {
  writeFileSync(repository(), Buffer.concat([Buffer.from("version: 1 # "), Buffer.from([0xff])]));
  await expect(readPolicyFile(repository())).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining("UTF-8") });
  await expect(addAllowance(repository(), { what: "missing-hash a@1.0.0", reason: "because" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  expect(readFileSync(repository()).at(-1)).toBe(0xff);
});

test("adding an exception keeps the file's mode", async () => {
  for (const mode of [0o600, 0o644, 0o664]) {
    writeFileSync(repository(), "version: 1\n");
    chmodSync(repository(), mode);
    await addAllowance(repository(), { what: "missing-hash a@1.0.0", reason: "because" });
    expect(statSync(repository()).mode & 0o777).toBe(mode);
  }
});

describe("aliases", () => {
  const bomb = (levels: number): string => {
    const lines = ["version: 1", "packages:", "  registries:", '    - &a0 "https://a.example/"'];
    let text = `${lines.join("\n")}\n`;
    let list = "[*a0, *a0, *a0, *a0, *a0, *a0, *a0, *a0, *a0, *a0]";
    for (let i = 1; i <= levels; i++) {
      text += `    - &a${i} ${list}\n`;
      list = list.replaceAll(`*a${i - 1}`, `*a${i}`);
    }
    return text;
  };
  test("a few may stand, many are refused before they are written out", () => {
    expect(parsePolicy("version: 1\npackages: {registries: [&a 'https://a.example/', *a]}\n", "f").policy.packages?.registries).toHaveLength(2);
    const started = performance.now();
    expect(() => parsePolicy(bomb(9), "f")).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringMatching(/alias/i) }));
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

test("a lock names a key that exists", () => {
  expect(() => parsePolicy("version: 1\nlocks: [levle]\n", "f")).toThrow(
    expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringContaining("locks") }),
  );
  for (const { key } of KEYS) expect(parsePolicy(`version: 1\nlocks: [${key}]\n`, "f").policy.locks).toEqual([key]);
});
