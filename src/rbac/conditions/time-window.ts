/**
 * A time restriction by the wall clock of its zone: open in [start, end). An end before the start is on the next day, and the
 * window belongs to the day on which it starts: `days: [fri]`, 22:00 to 06:00, is open on Saturday at 02:00.
 *
 * When clocks change, what counts is what they show. In spring, times that are skipped never come: [02:00, 03:00) is not open
 * at all on that day, and [01:30, 02:30) closes when the clock jumps from 02:00 to 03:00. In autumn, times that come twice
 * count twice: [02:00, 03:00) is open for two hours, and [01:30, 02:30) is open, closed and open again.
 */
import { DAYS, type TimeRestriction } from "../contract.ts";
import { offsetOf, type ZoneOffset } from "./zone.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** What was found out last, and for which instants it holds: from, inclusive, until, exclusive. */
interface Known {
  readonly from: number;
  readonly until: number;
  readonly open: boolean;
}

export class TimeWindow {
  readonly #start: number;
  readonly #end: number;
  readonly #days: ReadonlySet<number>;
  readonly #offset: ZoneOffset;
  #known: Known = { from: 0, until: 0, open: false };

  constructor({ startTime, endTime, timezone = "UTC", days = DAYS }: TimeRestriction) {
    this.#start = timeOfDay(startTime);
    this.#end = timeOfDay(endTime);
    this.#days = new Set(days.map((day) => DAYS.indexOf(day)));
    this.#offset = offsetOf(timezone);
  }

  /** @param now ms since the Unix epoch. */
  isOpen(now: number): boolean {
    return this.#at(now).open;
  }

  /** The next instant at which the answer may be another one. */
  edge(now: number): number {
    return this.#at(now).until;
  }

  /** The clock may have been moved in either direction since the last question. */
  #at(now: number): Known {
    const known = this.#known;
    if (now >= known.from && now < known.until) return known;
    this.#known = this.#look(now);
    return this.#known;
  }

  #look(now: number): Known {
    const offset = this.#offset(now);
    const wall = now + offset;
    const time = modulo(wall, DAY);
    // Midnight, too: another day begins.
    const next = Math.min(...[this.#start, this.#end, 0].map((edge) => modulo(edge - time, DAY) || DAY));
    return { from: now, until: this.#firstChange(now, now + next, offset) ?? now + next, open: this.#shows(wall, time) };
  }

  #shows(wall: number, time: number): boolean {
    const wraps = this.#end < this.#start;
    if (wraps ? time >= this.#end && time < this.#start : time < this.#start || time >= this.#end) return false;
    // 1970-01-01 was a Thursday.
    const day = modulo(Math.floor(wall / DAY) + 3 - (wraps && time < this.#end ? 1 : 0), 7);
    return this.#days.has(day);
  }

  /** When the zone's clocks are changed between two instants, or undefined when they are not. */
  #firstChange(from: number, to: number, offset: number): number | undefined {
    for (let before = from; before < to; before += HOUR) {
      let after = Math.min(before + HOUR, to);
      if (this.#offset(after) === offset) continue;
      let same = before;
      while (after - same > 1) {
        const middle = Math.floor((same + after) / 2);
        if (this.#offset(middle) === offset) same = middle;
        else after = middle;
      }
      return after;
    }
    return undefined;
  }
}

function timeOfDay(text: string): number {
  return Number(text.slice(0, 2)) * HOUR + Number(text.slice(3)) * MINUTE;
}

function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}
