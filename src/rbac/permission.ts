/**
 * Permissions: `resource:verb`, an open vocabulary of lower-case words. In a role's rule either part may be `*`, which stands
 * for that whole part: `workflows:*`, `*:read`, `*:*`. `work*:read` is no pattern.
 */
import { z } from "zod";

/** Most characters of each part. */
const MAX_SEGMENT = 64;
const SEGMENT = /^[a-z][a-z0-9-]{0,63}$/;

export interface PermissionParts {
  /** A word, or `*` in a pattern. */
  readonly resource: string;
  readonly verb: string;
}

/** The parts of a permission that is asked for, or undefined for what is none. */
export function parsePermission(text: string): PermissionParts | undefined {
  const parts = split(text);
  return parts !== undefined && SEGMENT.test(parts.resource) && SEGMENT.test(parts.verb) ? parts : undefined;
}

/** The parts of a rule's pattern, or undefined for what is none. */
export function parsePattern(text: string): PermissionParts | undefined {
  const parts = split(text);
  if (parts === undefined) return undefined;
  return [parts.resource, parts.verb].every((part) => part === "*" || SEGMENT.test(part)) ? parts : undefined;
}

/** Whether whatever `inner` stands for, `outer` stands for too. Both are well-formed patterns or permissions. */
export function coversPermission(outer: string, inner: string): boolean {
  const [a, b] = [parsePattern(outer), parsePattern(inner)];
  if (a === undefined || b === undefined) return false;
  return (a.resource === "*" || a.resource === b.resource) && (a.verb === "*" || a.verb === b.verb);
}

/** Whether there is a permission that both stand for. */
export function permissionsOverlap(one: string, other: string): boolean {
  const [a, b] = [parsePattern(one), parsePattern(other)];
  if (a === undefined || b === undefined) return false;
  const meets = (x: string, y: string): boolean => x === "*" || y === "*" || x === y;
  return meets(a.resource, b.resource) && meets(a.verb, b.verb);
}

export const permissionPatternSchema: z.ZodType<string> = z
  .string()
  .max(2 * MAX_SEGMENT + 1, "a permission has at most 64 characters on each side of its colon")
  .refine((text) => parsePattern(text) !== undefined, "a permission is resource:verb, lower-case words; either part may be *");

function split(text: string): PermissionParts | undefined {
  if (text.length > 2 * MAX_SEGMENT + 1) return undefined;
  const colon = text.indexOf(":");
  return colon === -1 ? undefined : { resource: text.slice(0, colon), verb: text.slice(colon + 1) };
}
