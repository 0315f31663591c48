/** Traffic: what a job's network did, by destination. */
export { type ByteCounter, TrafficRecord } from "./record.ts";
