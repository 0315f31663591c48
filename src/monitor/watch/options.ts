/** Options of RuntimeSecurityMonitor: the seed's, and what a caller brings along. */
import { z } from "zod";
import { type Clock, isFunction, isObject } from "../../foundation/index.ts";
import type { Store } from "../../store/index.ts";
import type { GapEvent, LossEvent, ProcessEvent, SensorStatus } from "../event.ts";
import { type RulesFile, rulesFileSchema } from "../rules/schema.ts";
import type { KernelSensor } from "../sensors/kernel-sensor.ts";
import type { MonitorThreat } from "./threat.ts";

/** What a container engine has to say. */
export interface MonitorEngine {
  readonly containers: { inspect(id: string): Promise<InspectedContainer> };
}

export interface InspectedContainer {
  readonly Id: string;
  readonly State: { readonly Pid: number; readonly Running: boolean };
  readonly GraphDriver?: { readonly Name: string; readonly Data: unknown } | undefined;
}

/** KernelSensor is one. */
export interface MonitorSensor extends Pick<KernelSensor, "initialize" | "watch" | "sync" | "hash" | "close"> {
  readonly status: SensorStatus | undefined;
  on(name: "event", listener: (event: ProcessEvent) => void): unknown;
  on(name: "loss", listener: (loss: LossEvent) => void): unknown;
  on(name: "gap", listener: (gap: GapEvent) => void): unknown;
  on(name: "status", listener: (status: SensorStatus) => void): unknown;
}

export interface MonitorOptions {
  /** Between two looks at each container, ms; 0 for none but those of {@link RuntimeSecurityMonitor.performSecurityCheck}. Default 10,000. */
  readonly monitoringInterval?: number | undefined;
  /** Whether the kernel's events are watched. Without them there are looks alone, which is said. Default true. */
  readonly syscallMonitoring?: boolean | undefined;
  /** Names of programs, or absolute paths, that are a threat wherever they run. */
  readonly suspiciousProcesses?: readonly string[] | undefined;
  /** Rules besides those of the product: files by their paths, or what would stand in one. */
  readonly detectionRules?: readonly (string | RulesFile)[] | undefined;
  /** A threat that comes again within it is counted and not told again, ms. Default 300,000. */
  readonly cooldown?: number | undefined;
  /** Root's own folder for what is kept of stopped containers. Without it none is kept. */
  readonly evidence?: string | undefined;
  /** Whether a threat stops its container at once, before anybody is told. Default: none does. */
  readonly freezes?: ((threat: MonitorThreat) => boolean) | undefined;
  /** While the kernel shows less than everything, after it showed that: watched containers go on, which is told, or stand still. Default go-on. */
  readonly unwatched?: "go-on" | "stand-still" | undefined;
  /** Of what jobs usually do. Without it there is no baseline. */
  readonly store?: Store | undefined;
  readonly sensor?: MonitorSensor | undefined;
  readonly clock?: Clock | undefined;
}

/** What is known of a container before it is watched. */
export interface MonitoringMetadata {
  /** `owner/name`; with workflow and job it names the baseline. */
  readonly repository?: string | undefined;
  readonly workflow?: string | undefined;
  readonly job?: string | undefined;
  /** The only programs that may run, by name or absolute path. */
  readonly expectedProcesses?: readonly string[] | undefined;
  /** Takes secrets out of a text before it is kept or told. */
  readonly mask?: ((text: string) => string) | undefined;
}

const programs = z.array(z.string().min(1).max(256)).max(1000);
const name = z.string().min(1).max(256);

export const monitorOptionsSchema: z.ZodType<MonitorOptions> = z.strictObject({
  monitoringInterval: z.int().min(0).max(86_400_000).optional(),
  syscallMonitoring: z.boolean().optional(),
  suspiciousProcesses: programs.optional(),
  detectionRules: z
    .array(z.union([z.string().min(1).max(4096), rulesFileSchema]))
    .max(100)
    .optional(),
  cooldown: z.int().min(0).max(86_400_000).optional(),
  evidence: z.string().min(1).max(4096).optional(),
  freezes: z.custom<NonNullable<MonitorOptions["freezes"]>>(isFunction).optional(),
  unwatched: z.enum(["go-on", "stand-still"]).optional(),
  store: z.custom<Store>(isObject).optional(),
  sensor: z.custom<MonitorSensor>(isObject).optional(),
  clock: z.custom<Clock>(isObject).optional(),
});

export const metadataSchema: z.ZodType<MonitoringMetadata> = z.strictObject({
  repository: name.optional(),
  workflow: name.optional(),
  job: name.optional(),
  expectedProcesses: programs.optional(),
  mask: z.custom<NonNullable<MonitoringMetadata["mask"]>>(isFunction).optional(),
});
