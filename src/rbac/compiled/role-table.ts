/**
 * Roles flattened: each with all that it inherits. Rules without conditions are bits that are looked up; rules of a role that
 * has conditions stay together with them, since a grant carries the conditions of its own role and of no other.
 */
import { Conditions } from "../conditions/conditions.ts";
import type { Constraints, Role } from "../contract.ts";
import { inheritanceOrder } from "../role-graph.ts";
import { addBits, type Bits, emptyBits, type Met, Patterns, setBit } from "./patterns.ts";

/** Rules that hold under conditions. */
export interface ConditionalRules {
  readonly conditions: Conditions;
  readonly allow: Bits;
  readonly deny: Bits;
}

export interface CompiledRole {
  /** Every pattern of every rule: what is not in here needs no further look. */
  readonly any: Bits;
  readonly allow: Bits;
  /** Undefined: it refuses nothing without conditions. */
  readonly deny: Bits | undefined;
  readonly conditional: readonly ConditionalRules[];
}

export class RoleTable {
  /** As they were given. */
  readonly source: ReadonlyMap<string, Role>;
  readonly #numbers: Map<string, number>;
  /** By number. */
  readonly #ids: readonly string[];
  readonly #compiled: readonly (CompiledRole | undefined)[];
  readonly #patterns = new Patterns();

  /**
   * Throws what {@link inheritanceOrder} throws.
   * @param before the table that this one takes the place of: roles keep their numbers, to which assignments refer.
   */
  constructor(source: ReadonlyMap<string, Role>, before?: RoleTable) {
    this.source = source;
    this.#numbers = new Map(before === undefined ? [] : before.#numbers);
    for (const role of source.values()) for (const pattern of [...role.permissions, ...role.deny]) this.#patterns.add(pattern);
    const compiled = new Map<string, CompiledRole>();
    for (const role of inheritanceOrder(source)) {
      if (!this.#numbers.has(role.id)) this.#numbers.set(role.id, this.#numbers.size);
      const parents = role.inherits.flatMap((id) => compiled.get(id) ?? []);
      compiled.set(role.id, this.#compile(role, parents));
    }
    this.#ids = [...this.#numbers.keys()];
    this.#compiled = this.#ids.map((id) => compiled.get(id));
  }

  numberOf(roleId: string): number | undefined {
    return this.#numbers.get(roleId);
  }

  idOf(number: number): string | undefined {
    return this.#ids[number];
  }

  /** Undefined for a role that is gone. */
  at(number: number): CompiledRole | undefined {
    return this.#compiled[number];
  }

  met(permission: string): Met | undefined {
    return this.#patterns.met(permission);
  }

  #compile(role: Role, parents: readonly CompiledRole[]): CompiledRole {
    const [only] = parents;
    if (parents.length === 1 && only !== undefined && role.permissions.length + role.deny.length === 0) return only;
    const own = { allow: this.#bits(role.permissions), deny: this.#bits(role.deny) };
    const conditional = new Set(parents.flatMap((parent) => parent.conditional));
    const allow = emptyBits(this.#patterns.size);
    const deny = emptyBits(this.#patterns.size);
    if (isConditional(role.constraints)) conditional.add({ conditions: new Conditions(role.constraints), ...own });
    else {
      addBits(allow, own.allow);
      addBits(deny, own.deny);
    }
    for (const parent of parents) {
      addBits(allow, parent.allow);
      if (parent.deny !== undefined) addBits(deny, parent.deny);
    }
    const refuses = deny.some((word) => word !== 0);
    if (!refuses && conditional.size === 0) return { any: allow, allow, deny: undefined, conditional: [] };
    const any = allow.slice();
    addBits(any, deny);
    for (const rules of conditional) {
      addBits(any, rules.allow);
      addBits(any, rules.deny);
    }
    return { any, allow, deny: refuses ? deny : undefined, conditional: [...conditional] };
  }

  #bits(patterns: readonly string[]): Bits {
    const bits = emptyBits(this.#patterns.size);
    for (const pattern of patterns) setBit(bits, this.#patterns.add(pattern));
    return bits;
  }
}

function isConditional(constraints: Constraints | undefined): constraints is Constraints {
  return constraints !== undefined && Object.values(constraints).some((value) => value !== undefined);
}
