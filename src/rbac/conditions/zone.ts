/** What the clock on the wall of a time zone shows, from the time zone database that Node carries (ICU). */

/** Milliseconds to add to UTC for the wall clock of the zone at that instant. */
export type ZoneOffset = (instant: number) => number;

/** Names of the IANA database; an offset such as +02:00 is none, since it has no summer. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name)) return false;
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/** @param zone a name for which {@link isTimeZone} holds. */
export function offsetOf(zone: string): ZoneOffset {
  const format = formatOf(zone);
  return (instant) => {
    const second = Math.floor(instant / 1000) * 1000;
    const parts = new Map(format.formatToParts(second).map(({ type, value }) => [type, Number(value)]));
    const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
    return Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second")) - second;
  };
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const numeric = "numeric";
  return new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: numeric,
    month: numeric,
    day: numeric,
    hour: numeric,
    minute: numeric,
    second: numeric,
  });
}
