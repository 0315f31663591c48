/** Monitor: what the processes of a job do, from the kernel. */
export type * from "./event.ts";
export { KernelSensor, type KernelSensorEvents, type KernelSensorOptions, type Watch, type WatchRequest } from "./sensors/kernel-sensor.ts";
export { SENSITIVE, type SensitiveNames } from "./sensors/sensitive.ts";
