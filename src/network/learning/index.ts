/** Learning: what recorded jobs needed, and what another policy would have made of them. */
export { type BlockedJob, type DryRun, dryRun } from "./dry-run.ts";
export { type Learned, type LearnedRule, learn } from "./learn.ts";
export { type RecordedJob, ruleFor } from "./recorded.ts";
