/** Sizes as quotas are written: `4GiB` for a file, `4 GiB` for people. Always exact; what has no short form is in bytes. */
const UNITS = [
  ["TiB", 2 ** 40],
  ["GiB", 2 ** 30],
  ["TB", 1e12],
  ["GB", 1e9],
  ["MiB", 2 ** 20],
  ["MB", 1e6],
  ["KiB", 2 ** 10],
  ["kB", 1e3],
] as const;

/** For cofferdam.yaml and options. */
export function sizeWord(bytes: number): string {
  return written(bytes, "");
}

export function sizeText(bytes: number): string {
  return written(bytes, " ");
}

function written(bytes: number, space: string): string {
  const unit = bytes === 0 ? undefined : UNITS.find(([, size]) => bytes % size === 0);
  return unit === undefined ? `${bytes}${space}B` : `${bytes / unit[1]}${space}${unit[0]}`;
}
