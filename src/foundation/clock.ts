/** Time as a dependency. Wall time dates records; monotonic time measures and expires. */
export interface Clock {
  /** Wall time, milliseconds since the Unix epoch. */
  now(): number;
  /** Monotonic time in milliseconds, with a fraction; only differences mean anything. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

/** ISO 8601 in UTC with milliseconds, the only form that records use. */
export function isoTime(clock: Clock): string {
  return new Date(clock.now()).toISOString();
}
