/** Who inherits from whom. Walks are loops, not recursion: a chain in a file may be as long as the file. */
import { CofferdamError } from "../foundation/index.ts";
import type { Role } from "./contract.ts";

/** Longest way from a role to what it inherits in the end. */
const MAX_INHERITANCE = 32;

/** Most roles, most different patterns of all their rules, most roles that one reaches: so much fits into memory, compiled. */
export const MAX_ROLES = 5000;
const MAX_PATTERNS = 20_000;
const MAX_REACH = 256;

/** What a graph is made of. */
export type RoleNode = Pick<Role, "id" | "inherits">;

/** Throws what {@link inheritanceOrder} throws, and PAYLOAD_TOO_LARGE for more roles, patterns or inheritance than is kept. */
export function checkRoles(roles: ReadonlyMap<string, Role>): void {
  if (roles.size > MAX_ROLES) throw tooMuch("there would be more roles than", { maxRoles: MAX_ROLES });
  const patterns = new Set([...roles.values()].flatMap(({ permissions, deny }) => [...permissions, ...deny]));
  if (patterns.size > MAX_PATTERNS) throw tooMuch("roles would have more different permissions than", { maxPatterns: MAX_PATTERNS });
  for (const { id } of inheritanceOrder(roles)) {
    if (closureOf(roles, id, MAX_REACH).length > MAX_REACH) throw tooMuch(`role ${id} would inherit from more roles than`, { maxReach: MAX_REACH });
  }
}

/**
 * Roles so that each comes after those it inherits from. Throws INVALID_ARGUMENT for a cycle and for one that inherits from a
 * role that is not there, PAYLOAD_TOO_LARGE for a chain of more than {@link MAX_INHERITANCE}.
 */
export function inheritanceOrder<T extends RoleNode>(roles: ReadonlyMap<string, T>): readonly T[] {
  const order: T[] = [];
  const depths = new Map<string, number>();
  for (const first of roles.values()) {
    if (depths.has(first.id)) continue;
    /** The chain that is being walked; each with how many of its parents are done. */
    const chain = [{ role: first, done: 0 }];
    const onChain = new Set([first.id]);
    for (let top = chain.at(-1); top !== undefined; top = chain.at(-1)) {
      const { role } = top;
      const parentId = role.inherits[top.done];
      if (parentId === undefined) {
        const depth = 1 + Math.max(-1, ...role.inherits.map((id) => depths.get(id) ?? 0));
        if (depth > MAX_INHERITANCE) throw tooDeep(role.id);
        depths.set(role.id, depth);
        order.push(role);
        onChain.delete(role.id);
        chain.pop();
        continue;
      }
      top.done += 1;
      if (depths.has(parentId)) continue;
      const parent = roles.get(parentId);
      if (parent === undefined) throw unknownRole(role.id, parentId);
      if (onChain.has(parentId)) throw cycle([...chain.map((link) => link.role.id), parentId]);
      onChain.add(parentId);
      chain.push({ role: parent, done: 0 });
    }
  }
  return order;
}

/** A role and all that it inherits, nearest first, each with the way to it. @param most no more than one more than so many are looked for. */
export function closureOf<T extends RoleNode>(
  roles: ReadonlyMap<string, T>,
  roleId: string,
  most: number = Number.POSITIVE_INFINITY,
): readonly { readonly role: T; readonly path: readonly string[] }[] {
  const start = roles.get(roleId);
  if (start === undefined) return [];
  const found = [{ role: start, path: [roleId] }];
  const seen = new Set([roleId]);
  for (const { role, path } of found) {
    for (const id of role.inherits) {
      const parent = roles.get(id);
      if (parent === undefined || seen.has(id)) continue;
      if (found.length > most) return found;
      seen.add(id);
      found.push({ role: parent, path: [...path, id] });
    }
  }
  return found;
}

function cycle(chain: readonly string[]): CofferdamError {
  const from = chain.indexOf(chain.at(-1) ?? "");
  const ring = chain.slice(from);
  const shown = ring.length > 8 ? [...ring.slice(0, 7), "...", ring.at(-1)] : ring;
  return new CofferdamError("INVALID_ARGUMENT", `roles inherit from each other in a circle: ${shown.join(" > ")}`, { details: { cycle: ring.slice(0, 100) } });
}

function unknownRole(id: string, parentId: string): CofferdamError {
  return new CofferdamError("INVALID_ARGUMENT", `role ${id} inherits from ${parentId}, which is not there`, { details: { role: id, inherits: parentId } });
}

function tooDeep(id: string): CofferdamError {
  return new CofferdamError("PAYLOAD_TOO_LARGE", `role ${id} inherits through more than ${MAX_INHERITANCE} roles in a row`, {
    details: { role: id, maxInheritance: MAX_INHERITANCE },
  });
}

function tooMuch(what: string, limit: Readonly<Record<string, number>>): CofferdamError {
  return new CofferdamError("PAYLOAD_TOO_LARGE", `${what} ${Object.values(limit).join("")}`, { details: limit });
}
