/** Rules by what they name: a hash for a name, one a level above it for wildcards, one a prefix length for addresses. */
import { type Address, blockAround } from "./address.ts";
import type { Rule } from "./rule.ts";

type Matches = (rule: Rule) => boolean;

export class RuleIndex {
  readonly #names = new Map<string, Rule[]>();
  readonly #suffixes = new Map<string, Rule[]>();
  /** Family and prefix length, then base. */
  readonly #blocks = { 4: new Map<number, Map<bigint, Rule[]>>(), 6: new Map<number, Map<bigint, Rule[]>>() };

  constructor(rules: readonly Rule[]) {
    for (const rule of rules) {
      const { target } = rule;
      if (target.kind === "block") {
        const { family, bits, base } = target.block;
        const ofLength = this.#blocks[family].get(bits) ?? new Map<bigint, Rule[]>();
        this.#blocks[family].set(bits, ofLength);
        add(ofLength, base, rule);
      } else add(target.kind === "name" ? this.#names : this.#suffixes, target.name, rule);
    }
  }

  /** The nearest rule for a name: its own first, then wildcards from the longest. */
  forName(name: string, matches: Matches): Rule | undefined {
    return this.#names.get(name)?.find(matches) ?? this.above(parentOf(name), matches);
  }

  /** The nearest wildcard that covers everything below `name`. */
  above(name: string, matches: Matches): Rule | undefined {
    for (let suffix = name; suffix !== ""; suffix = parentOf(suffix)) {
      const found = this.#suffixes.get(suffix)?.find(matches);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Every rule for a name, the nearest first. */
  *allForName(name: string): Generator<Rule, void> {
    yield* this.#names.get(name) ?? [];
    for (let suffix = parentOf(name); suffix !== ""; suffix = parentOf(suffix)) yield* this.#suffixes.get(suffix) ?? [];
  }

  forAddress(address: Address, matches: Matches): Rule | undefined {
    for (const [bits, blocks] of this.#blocks[address.family]) {
      const found = blocks.get(blockAround(address, bits).base)?.find(matches);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function add<K>(map: Map<K, Rule[]>, key: K, rule: Rule): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [rule]);
  else known.push(rule);
}

function parentOf(name: string): string {
  const dot = name.indexOf(".");
  return dot < 0 ? "" : name.slice(dot + 1);
}
