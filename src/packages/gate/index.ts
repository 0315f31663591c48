/** The registry gate: upstream, verification, store, and the server that a boxed client talks to. */
export { type StrongDigest, strongestDigest } from "./digest.ts";
export { Gate, type GateOptions, type GateRefusal } from "./gate.ts";
export { DEFAULT_GATE_LIMITS, type GateLimits } from "./limits.ts";
export type { WantedTarball } from "./metadata.ts";
export { Registries } from "./registries.ts";
export { TarballSource } from "./source.ts";
export { TarballStore, type TarballSummary } from "./tarball-store.ts";
export { Upstream, type UpstreamSettings } from "./upstream.ts";
export { Verifier } from "./verifier.ts";
