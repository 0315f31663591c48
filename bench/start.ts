/** A bare `cofferdam --version` against the goal of 120 ms and against Node starting with nothing to do. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { interleaved, print, timed } from "./measure.ts";

const executable = fileURLToPath(new URL("../bin/cofferdam.js", import.meta.url));
const [ours = 0, node = 0] = await interleaved(
  [
    { name: "ours", run: () => timed(() => execFileSync(process.execPath, [executable, "--version"])) },
    { name: "node -e 0", run: () => timed(() => execFileSync(process.execPath, ["-e", "0"])) },
  ],
  15,
);
print({ name: "start --version vs 120 ms", ours, peer: 120, unit: "ms", goal: { kind: "at-most", ratio: 1 } });
print({ name: "start --version vs node -e 0", ours, peer: node, unit: "ms" });
