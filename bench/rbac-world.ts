/**
 * Roles, users and questions of one size, the same for every contender: roles of ten permissions, some of them with every verb of
 * a resource, a fifth inheriting from another; three roles a user. No denials and no conditions, which not every peer has.
 */
export interface World {
  readonly roles: readonly BenchRole[];
  /** Numbers of the roles of each user. */
  readonly users: readonly (readonly number[])[];
  readonly questions: readonly Question[];
}

export interface BenchRole {
  readonly id: string;
  readonly inherits: readonly string[];
  readonly rules: readonly { readonly resource: string; readonly verb: string }[];
}

/** With its texts made: those who ask have them. */
export interface Question {
  readonly user: number;
  readonly userId: string;
  /** `resource:verb`. */
  readonly permission: string;
  readonly resource: string;
  readonly verb: string;
}

export const VERBS = ["create", "read", "update", "delete"] as const;
const RESOURCES = 50;

export function world(users: number, roles: number, questions: number): World {
  // mulberry32: the same numbers everywhere, and all users come up.
  let seed = 12_345;
  const random = (below: number): number => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
  const verb = (): string => VERBS[random(4)] ?? "read";
  return {
    roles: Array.from({ length: roles }, (_, at) => ({
      id: `role${at}`,
      inherits: at > 0 && random(5) === 0 ? [`role${random(at)}`] : [],
      rules: Array.from({ length: 10 }, () => ({ resource: `res${random(RESOURCES)}`, verb: random(10) === 0 ? "*" : verb() })),
    })),
    users: Array.from({ length: users }, () => [random(roles), random(roles), random(roles)]),
    questions: Array.from({ length: questions }, () => {
      const [user, resource, right] = [random(users), `res${random(RESOURCES)}`, verb()];
      return { user, userId: userId(user), permission: `${resource}:${right}`, resource, verb: right };
    }),
  };
}

export function userId(user: number): string {
  return `user-${user}`;
}

/** Rules of a role and of all that it inherits. */
export function closure({ roles }: World, of: readonly number[]): readonly BenchRole[] {
  const found = new Set(of.flatMap((at) => roles[at] ?? []));
  for (const role of found) for (const id of role.inherits) found.add(roles[Number(id.slice(4))] ?? role);
  return [...found];
}
