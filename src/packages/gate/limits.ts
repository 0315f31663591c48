/** Bounds on what a registry may send us. Sizes in bytes, times in milliseconds. */
export interface GateLimits {
  /** Most bytes of one tarball as sent. */
  readonly maxTarballBytes: number;
  /** Most bytes of one tarball when unpacked. */
  readonly maxUnpackedBytes: number;
  /** Most entries of one tarball. */
  readonly maxEntries: number;
  /** Most bytes of one metadata document, unpacked. */
  readonly maxMetadataBytes: number;
  /** Longest wait for a connection or for response headers. */
  readonly headersTimeout: number;
  /** Longest pause between two chunks of a body. */
  readonly idleTimeout: number;
  /** Longest time for one response altogether. */
  readonly totalTimeout: number;
  /** Tries of one request, the first included. */
  readonly attempts: number;
  /** Requests to upstream at once. */
  readonly concurrency: number;
}

export const DEFAULT_GATE_LIMITS: GateLimits = {
  maxTarballBytes: 512 * 2 ** 20,
  maxUnpackedBytes: 4 * 2 ** 30,
  maxEntries: 200_000,
  maxMetadataBytes: 128 * 2 ** 20,
  headersTimeout: 30_000,
  idleTimeout: 30_000,
  totalTimeout: 600_000,
  attempts: 3,
  concurrency: 24,
};

/** Redirects followed for one request; npm's own client follows 20, real registries need one or two. */
export const MAX_REDIRECTS = 5;
