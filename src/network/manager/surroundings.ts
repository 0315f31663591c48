/** What is around the jobs: this host's addresses and routes, the engine's networks, the ranges of the jobs themselves. */
import type { ContainerEngine } from "../../engine/index.ts";
import { type Range, rangeOf, rangeText } from "../kernel/plan.ts";
import { hasIpv6, hostAddresses, hostRoutes } from "./host.ts";

/** How old what is known of the engine's networks may be, ms. */
const FRESH = 30_000;

export class Surroundings {
  readonly #engine: ContainerEngine;
  readonly #ranges: readonly Range[];
  #engineNetworks: readonly string[] = [];
  #looked = Number.NEGATIVE_INFINITY;

  constructor(engine: ContainerEngine, ranges: readonly Range[]) {
    this.#engine = engine;
    this.#ranges = ranges;
  }

  get hasIpv6(): boolean {
    return hasIpv6();
  }

  /** Asks the engine for its networks, unless it was just asked. While it does not answer, what was known stays. */
  async look(): Promise<void> {
    if (performance.now() - this.#looked < FRESH) return;
    const networks = await this.#engine.networks.list().catch(() => undefined);
    if (networks === undefined) return;
    this.#looked = performance.now();
    this.#engineNetworks = networks.flatMap(({ IPAM }) => IPAM.Config.flatMap(({ Subnet }) => Subnet ?? []));
  }

  /** CIDRs that no rule opens. */
  closed(): readonly string[] {
    return [...hostAddresses(), ...this.#engineNetworks, ...this.#ranges.map(rangeText)];
  }

  /** Where no job's subnet may be: a job could not reach what is really there. */
  inTheWay(): readonly Range[] {
    return [...hostRoutes(), ...this.#engineNetworks.filter((cidr) => /^[\d.]+\/\d+$/.test(cidr)).map(rangeOf)];
  }
}
