/** Monitor: what the processes of a job do, from the kernel. */
export type * from "./event.ts";
