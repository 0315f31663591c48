/** The doctor's look at what guarded jobs stand on: the container engine, whether this process may guard, the tools at the gate. */
import { existsSync } from "node:fs";
import { EngineClient } from "../../engine/index.ts";
import { CofferdamError, messageOf } from "../../foundation/index.ts";
import type { CommandContext } from "./command.ts";
import type { Check } from "./doctor.ts";
import { addressOf } from "./engine-option.ts";

const ASK_MS = 5000;
const COSTS = "guarded jobs (cofferdam job run)";

export async function engine({ env, signal }: CommandContext): Promise<Check> {
  const name = "engine";
  const address = addressOf(undefined, env);
  try {
    await using client = new EngineClient(address);
    const { engine: family, apiVersion } = await client.ping({ signal, timeoutMs: ASK_MS });
    const { ServerVersion = "of no version", Driver, CgroupVersion = "?", MemoryLimit, PidsLimit } = await client.info({ signal, timeoutMs: ASK_MS });
    const detail = `${family} ${ServerVersion} at ${client.where}: API ${apiVersion}, ${Driver}, cgroup v${CgroupVersion}`;
    if (process.getuid?.() !== 0)
      return { name, status: "warn", detail: `${detail}; jobs are prepared and proven by root`, costs: COSTS, fix: "sudo cofferdam job ..." };
    const missing = [...(MemoryLimit === false ? ["memory"] : []), ...(PidsLimit === false ? ["process"] : [])];
    if (missing.length > 0)
      return {
        name,
        status: "fail",
        detail: `${detail}; it sets no ${missing.join(" and no ")} limit`,
        costs: COSTS,
        fix: "boot with the memory and pids cgroups",
      };
    return { name, status: "ok", detail };
  } catch (error) {
    // Whoever guards installs alone needs none.
    if (env["DOCKER_HOST"] === undefined && !existsSync(address))
      return { name, status: "ok", detail: `none at ${address}: cofferdam job run needs one, nothing else does` };
    const hint = error instanceof CofferdamError ? error.hint : undefined;
    return {
      name,
      status: process.getuid?.() === 0 ? "fail" : "warn",
      detail: messageOf(error),
      costs: COSTS,
      fix: hint ?? "start it, or name another with DOCKER_HOST",
    };
  }
}
