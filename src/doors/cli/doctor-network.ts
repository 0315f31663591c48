/** The doctor's look at what networks of jobs stand on: makes one, with nothing in it, and takes it away. */
import { CofferdamError, messageOf } from "../../foundation/index.ts";
import { tryNetwork } from "../../network/index.ts";
import type { Check } from "./doctor.ts";

const COSTS = "jobs with a network; jobs: {network: none} runs without one";

export async function network(): Promise<Check> {
  const name = "network";
  if (process.getuid?.() !== 0) return { name, status: "warn", detail: "not tried: only root makes networks", costs: COSTS, fix: "sudo cofferdam doctor" };
  try {
    const ms = await tryNetwork();
    return { name, status: "ok", detail: `namespaces, nft and transparent sockets work; one network took ${ms.toFixed(0)} ms` };
  } catch (error) {
    const missing = /nft is not installed/.test(messageOf(error));
    const hint = error instanceof CofferdamError ? error.hint : undefined;
    const fix = missing
      ? "apt-get install nftables (or dnf, apk add, pacman -S)"
      : (hint ?? "a kernel with nf_tables, nft_tproxy and veth; ./dev setup builds the helper");
    return { name, status: "fail", detail: messageOf(error), costs: COSTS, fix };
  }
}
