/** Hashing: 2,000 small tarballs against a one-shot loop and ssri; one large file against openssl and sha512sum. */
import { execFileSync } from "node:child_process";
import { hash, randomBytes } from "node:crypto";
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ssri from "ssri";
import { verifyFile } from "../dist/integrity/index.js";
import { interleaved, print, timed } from "./measure.ts";

const ROUNDS = 7;
const SMALL = 2000;
const LARGE: number = 200 * 2 ** 20;
const folder = mkdtempSync(join(tmpdir(), "cofferdam-bench-hash-"));

try {
  const small = Array.from({ length: SMALL }, (_, i) => {
    const path = join(folder, `${i}.tgz`);
    // Sizes like a registry's: most are a few kB, the mean is about 25.
    const bytes = randomBytes(1000 + Math.floor(Math.random() ** 3 * 100_000));
    writeFileSync(path, bytes);
    return { path, integrity: `sha512-${hash("sha512", bytes, "base64")}` };
  });
  const [ours = 0, oneShot = 0, stream = 0] = await interleaved(
    [
      {
        name: "ours",
        run: () =>
          timed(async () => {
            for (const { path, integrity } of small) if (!(await verifyFile(path, integrity)).ok) throw new Error("mismatch");
          }),
      },
      {
        name: "one-shot loop",
        run: () =>
          timed(() => {
            for (const { path, integrity } of small) if (`sha512-${hash("sha512", readFileSync(path), "base64")}` !== integrity) throw new Error("mismatch");
          }),
      },
      {
        name: "ssri.checkStream",
        run: () =>
          timed(async () => {
            for (const { path, integrity } of small) await ssri.checkStream(createReadStream(path), integrity);
          }),
      },
    ],
    ROUNDS,
  );
  print({ name: "hash-2000-small vs one-shot loop", ours, peer: oneShot, unit: "ms", goal: { kind: "at-most", ratio: 1.15 } });
  print({ name: "hash-2000-small vs ssri.checkStream", ours, peer: stream, unit: "ms" });

  const large = join(folder, "large");
  writeFileSync(large, randomBytes(LARGE));
  const hex = execFileSync("openssl", ["dgst", "-sha512", "-r", large], { encoding: "utf8" }).slice(0, 128);
  const sri = `sha512-${Buffer.from(hex, "hex").toString("base64")}`;
  const rate = (ms: number): number => LARGE / 1e6 / (ms / 1000);
  const [oursMs = 0, opensslMs = 0, sumMs = 0, ssriMs = 0] = await interleaved(
    [
      { name: "ours", run: () => timed(async () => void (await verifyFile(large, hex)).ok) },
      { name: "openssl", run: () => timed(() => execFileSync("openssl", ["dgst", "-sha512", large])) },
      { name: "sha512sum", run: () => timed(() => execFileSync("sha512sum", [large])) },
      { name: "ssri", run: () => timed(() => ssri.checkStream(createReadStream(large), sri)) },
    ],
    ROUNDS,
  );
  print({ name: "hash-200MB vs openssl", ours: rate(oursMs), peer: rate(opensslMs), unit: "MB/s", goal: { kind: "at-least", ratio: 0.85 } });
  print({ name: "hash-200MB vs sha512sum", ours: rate(oursMs), peer: rate(sumMs), unit: "MB/s" });
  print({ name: "hash-200MB vs ssri.checkStream", ours: rate(oursMs), peer: rate(ssriMs), unit: "MB/s" });
} finally {
  rmSync(folder, { recursive: true });
}
