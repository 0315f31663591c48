/** All attacks on the jail. */
import type { Attack } from "./attack.ts";
import { ENVIRONMENT } from "./environment.ts";
import { FILES } from "./files.ts";
import { HOST_KNOBS } from "./host-knobs.ts";
import { KERNEL } from "./kernel.ts";
import { LEFTOVERS } from "./leftovers.ts";
import { NETWORK } from "./network.ts";
import { PROCESSES } from "./processes.ts";
import { RESOURCES } from "./resources.ts";

export const CORPUS: readonly Attack[] = [FILES, ENVIRONMENT, NETWORK, PROCESSES, KERNEL, HOST_KNOBS, RESOURCES, LEFTOVERS].flat();
