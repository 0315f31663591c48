/** `./dev bench [NAME]`: runs one benchmark or all. */
import { readdirSync } from "node:fs";

const NAMES = [
  "hash",
  "start",
  "jail",
  "scripts",
  "install",
  "audit",
  "audit-search",
  "advisories",
  "quota",
  "masking",
  "secrets",
  "rbac",
  "monitor",
  "monitor-response",
  "sensor-sources",
  "engine",
  "jobs",
  "network",
  "native",
] as const;
const wanted = process.argv[2];
const chosen = NAMES.filter((name) => wanted === undefined || name === wanted);
if (chosen.length === 0) {
  process.stderr.write(`no benchmark ${JSON.stringify(wanted)}: ${NAMES.join(", ")}\n`);
  process.exitCode = 2;
}
if (!readdirSync(new URL("..", import.meta.url)).includes("dist")) throw new Error("not built: use ./dev bench");
for (const name of chosen) await import(`./${name}.ts`);
