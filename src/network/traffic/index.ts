/** Traffic: what a job's network did, by destination. */
export { type Attempt, type ByteCounter, reached, THE_REST, TrafficRecord } from "./record.ts";
