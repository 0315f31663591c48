/** Days without an event: nothing was built, or nothing was guarded. The trail cannot tell which. */

export interface QuietDays {
  readonly count: number;
  /** First and last day of each run, UTC; the first {@link MAX_RUNS}. */
  readonly runs: readonly { readonly from: string; readonly to: string }[];
}

const MAX_RUNS = 500;
const DAY = 86_400_000;

/**
 * @param busy days with events, `YYYY-MM-DD`. @param from @param to the period, ISO 8601; where one is undefined, the first
 * and last event bound it.
 */
export function quietDays(busy: ReadonlySet<string>, from: string | undefined, to: string | undefined): QuietDays {
  const days = [...busy].map(numberOf).sort((a, b) => a - b);
  const [first, last] = [days[0], days.at(-1)];
  const start = from === undefined ? first : numberOf(from);
  const end = to === undefined ? last : numberOf(to);
  if (start === undefined || end === undefined) return { count: 0, runs: [] };
  const runs: { from: string; to: string }[] = [];
  let count = 0;
  let next = start;
  for (const day of [...days.filter((one) => one >= start && one <= end), end + 1]) {
    if (day > next) {
      count += day - next;
      if (runs.length < MAX_RUNS) runs.push({ from: textOf(next), to: textOf(day - 1) });
    }
    next = day + 1;
  }
  return { count, runs };
}

function numberOf(day: string): number {
  return Math.floor(Date.parse(day.slice(0, 10)) / DAY);
}

function textOf(day: number): string {
  return new Date(day * DAY).toISOString().slice(0, 10);
}
