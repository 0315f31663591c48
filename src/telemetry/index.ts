/** Telemetry: durations, cost, thresholds, Prometheus text. */
export type { HistogramSummary } from "./histogram.ts";
export {
  DEFAULT_THRESHOLDS,
  OPERATIONS,
  type Operation,
  type OperationSummary,
  type Outcome,
  type Stop,
  Telemetry,
  type ThresholdExceeded,
  type Thresholds,
} from "./telemetry.ts";
