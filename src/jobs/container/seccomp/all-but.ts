/**
 * "Any 32-bit number but these", said with masked comparisons that are alternatives: libseccomp has no other way to leave a
 * few values out without leaving out the bits above them as well. The numbers are leaves of a binary tree; every branch that
 * leads to none of them is one comparison.
 */

/** True of x when (x & mask) === value, both unsigned. */
export interface MaskedValue {
  readonly mask: number;
  readonly value: number;
}

const BITS = 32;

/** At most 32 comparisons for each number. No two of them match the same number. */
export function allBut(numbers: readonly number[]): MaskedValue[] {
  const branches: MaskedValue[] = [];
  grow(numbers, BITS, { mask: 0, value: 0 }, branches);
  return branches;
}

/** @param numbers those below `branch`. @param left bits that the branch does not decide yet. */
function grow(numbers: readonly number[], left: number, branch: MaskedValue, branches: MaskedValue[]): void {
  if (numbers.length === 0) {
    branches.push(branch);
    return;
  }
  if (left === 0) return;
  const bit = 2 ** (left - 1);
  for (const set of [0, bit]) {
    const below = numbers.filter((number) => (number & bit) >>> 0 === set);
    grow(below, left - 1, { mask: branch.mask + bit, value: branch.value + set }, branches);
  }
}
