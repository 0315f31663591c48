/**
 * Masking a job's output: 1,000 secrets in all their forms against what people write by hand, which looks for the plain values
 * alone: a loop of replaceAll, and one regular expression of all of them. Output of the kind that builds write, secrets in it.
 */
import { randomBytes } from "node:crypto";
import { MaskList } from "../dist/secrets/index.js";
import { interleaved, print, printLimit, timed } from "./measure.ts";

const ROUNDS = 5;
const SECRETS = 1000;
const MOST_DELAY_BYTES = 4096;
const PIECE: number = 32 * 1024;
const LINES = [
  " \u001b[32m✓\u001b[39m src/audit/ocsf/map.test.ts \u001b[2m(12 tests)\u001b[22m 41ms",
  "npm http fetch GET 200 https://packages.example/left-pad/-/left-pad-1.3.0.tgz 12ms (cache hit)",
  "[12:01:44.093] DEBUG resolve: found module-a@3.2.1 (sha512-2nd9lkJ0Ab+v8q5jP0Bz4mcLZbT6f1Q4iOmBzH0V8Fw==) in store",
  "g++ -o Release/obj.target/addon/src/addon.o ../src/addon.cc '-DNODE_GYP_MODULE_NAME=addon' -I/usr/include/node -fPIC -O3",
  '{"level":30,"time":1767225600000,"pid":4711,"msg":"request \\"GET /api/v1/jobs?limit=50&cursor=%7B%7D\\" took 3 ms","id":"f3c9"}',
  "    at Module._compile (node:internal/modules/cjs/loader:1554:14)",
  "Downloading crates ... [=========>              ] 41.2% 1.1 MiB/s eta 12s",
  "warning: unused variable: `count`\r\n   --> src/main.rs:42:9",
];

const secrets = Array.from({ length: SECRETS }, () => randomBytes(24).toString("base64url"));

function output(bytes: number): Buffer {
  const pieces: string[] = [];
  let size = 0;
  for (let i = 0; size < bytes; i++) {
    // A secret in one line of two hundred.
    const line = i % 200 === 0 ? `token: ${secrets[i % SECRETS]}` : `${i} ${LINES[i % LINES.length]}`;
    pieces.push(line);
    size += Buffer.byteLength(line) + 1;
  }
  return Buffer.from(pieces.join("\n"));
}

const list = new MaskList();
for (const secret of secrets) list.add(Buffer.from(secret));
const small = output(2 * 2 ** 20);
const large = output(64 * 2 ** 20);
const rate = (bytes: number, ms: number): number => bytes / 1e6 / (ms / 1000);
const union = new RegExp(secrets.map((secret) => secret.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|"), "g");

/** In pieces, as a job's output comes. */
function mask(bytes: Buffer): number {
  const stream = list.stream();
  let [out, held] = [0, 0];
  for (let at = 0; at < bytes.length; at += PIECE) {
    out += stream.write(bytes.subarray(at, at + PIECE)).length;
    held = Math.max(held, stream.held);
  }
  out += stream.flush().length;
  if (out >= bytes.length) throw new Error("nothing was masked");
  return held;
}

/** Processor time, ms: nothing here waits, and what else the machine does is no matter. */
async function worked(work: () => unknown): Promise<number> {
  const from = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1000;
}

const building = await timed(() => list.text("first"));
printLimit({ name: "masking-tables-1000-secrets", ours: building, unit: "ms", most: 2000 });
const held = mask(large);
printLimit({ name: "masking-held-back", ours: held, unit: "bytes", most: MOST_DELAY_BYTES });
const [ours = 0, oursSmall = 0, loop = 0, regex = 0] = await interleaved(
  [
    { name: "ours, 64 MiB", run: () => worked(() => mask(large)) },
    { name: "ours", run: () => worked(() => mask(small)) },
    {
      name: "loop",
      run: () =>
        worked(() => {
          let text = small.toString();
          for (const secret of secrets) text = text.replaceAll(secret, "***");
          return Buffer.from(text);
        }),
    },
    { name: "regex", run: () => worked(() => Buffer.from(small.toString().replace(union, "***"))) },
  ],
  ROUNDS,
);
print({ name: "masking-1000-secrets vs 100 MB/s", ours: rate(large.length, ours), peer: 100, unit: "MB/s", goal: { kind: "at-least", ratio: 1 } });
print({ name: "masking vs a loop of replaceAll", ours: rate(small.length, oursSmall), peer: rate(small.length, loop), unit: "MB/s" });
print({ name: "masking vs a regex union", ours: rate(small.length, oursSmall), peer: rate(small.length, regex), unit: "MB/s" });
