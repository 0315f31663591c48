/** Secrets that nobody registered, in what a real job says and leaves behind. */
import { generateKeyPairSync, randomInt } from "node:crypto";
import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { useJobWorld } from "../world/job-hooks.ts";
import type { JobWorld } from "../world/job-world.ts";

let world: JobWorld;

useJobWorld((started) => {
  world = started;
});

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Made as GitHub makes them, and nobody's. */
function token(): string {
  const payload = Array.from({ length: 30 }, () => LETTERS[randomInt(62)]).join("");
  let sum = "";
  for (let rest = crc32(payload); rest > 0; rest = Math.floor(rest / 62)) sum = `${LETTERS[rest % 62]}${sum}`;
  return `ghp_${payload}${sum.padStart(6, "0")}`;
}

test("in output and results: threats with kind, place and fingerprint; the value in nothing that is kept of it", async () => {
  const value = token();
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const folder = world.folder({ "key.txt": key, "plain.txt": "nothing\n" });
  const script = `echo one; echo "token ${value}"; mkdir out; { echo; cat key.txt; } > out/id_key; ln -s /etc/passwd out/link; echo text > out/text`;
  const { report, stderr } = await world.job({ command: ["sh", "-c", script], options: ["--workspace", folder] });
  expect(report.threats.map(({ type, severity, source, details }) => [type, severity, source, details])).toEqual([
    ["leaked_secret", "critical", "leak-finder", expect.objectContaining({ kind: "private-key", where: "out/id_key", line: 3, times: 1 })],
    ["leaked_secret", "critical", "leak-finder", expect.objectContaining({ kind: "github-token", where: "output", line: 2, offset: 10, times: 1 })],
  ]);
  expect(report.leakScan).toMatchObject({ outputBytes: 51, found: 2, accepted: 0, files: 2 });
  expect(report.score?.cap?.value).toBeLessThanOrEqual(39);
  expect(stderr).toContain("critical: leaked_secret (github-token in output:2), seen by leak-finder, open\n");
  const { stdout: trail } = await world.cli(["audit", "search", "--action", "ThreatHandled", "--json"]);
  const fingerprint = String(report.threats.at(-1)?.details["fingerprint"]);
  expect(trail).toContain(fingerprint);
  const { stdout: threats } = await world.cli(["threats", "list", "--json"]);
  for (const text of [trail, threats, JSON.stringify(report.threats)]) for (const part of [value.slice(4), key.slice(40, 60)]) expect(text).not.toContain(part);

  // An exception of the policy, with its reason, on record.
  world.policy(`version: 1\njobs: {unscanned: accept}\npackages: {allow: [{what: leaked-secret ${fingerprint}, reason: revoked long ago}]}\n`);
  try {
    const again = await world.job({ command: ["sh", "-c", `echo ${value}`] });
    expect(again.report).toMatchObject({ threats: [], leakScan: { found: 0, accepted: 1 } });
    const { stdout: ends } = await world.cli(["audit", "search", "--action", "JobEnded", "--json"]);
    expect(ends).toContain("revoked long ago");
  } finally {
    world.policy("version: 1\njobs: {unscanned: accept}\n");
  }
});

test("an honest job has none; what was not looked through is said", async () => {
  const folder = world.folder({ a: "1" });
  const { report } = await world.job({ command: ["sh", "-c", "echo fine; echo b > b"], options: ["--workspace", folder, "--bind"] });
  expect(report).toMatchObject({ verdict: "passed", threats: [], leakScan: { outputBytes: 5, files: 0, found: 0, notLookedAt: ["the mounted folder"] } });
  const page = await world.cli(["job", "report", report.jobId]);
  expect(page.stdout).toContain("leaks    none found in 5 B of output\n         not looked at: the mounted folder\n");
  const large = await world.job({ command: ["sh", "-c", "head -c 9000000 /dev/zero > large; echo x > small"], options: ["--workspace", world.folder()] });
  expect(large.report.leakScan).toMatchObject({ files: 1, notLookedAt: ["1 of 2 results: too large, too many, or not readable"] });
});
