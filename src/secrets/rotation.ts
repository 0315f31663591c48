/** New values: from whoever has one, or from a provider, one at a time. */
import { CofferdamError, wrapError } from "../foundation/index.ts";
import type { SecretBackend, SecretInfo, StoredSecret } from "./contract.ts";
import { MAX_VALUE } from "./inputs.ts";
import { runProgram } from "./program.ts";
import type { SecretSettings } from "./settings.ts";

export interface RotationRequest {
  readonly secretId: string;
  /** Of the value that there will be. */
  readonly version: number;
  /** The value that there is. */
  readonly current: Uint8Array;
  /** Aborted when its time is over. */
  readonly signal: AbortSignal;
}

/** Makes the next value where it is made: at a registry, in a database, in a vault. */
export interface RotationProvider {
  /** Called for one rotation of a secret at a time. What it returns is stored as it is. */
  rotate(request: RotationRequest): Promise<Uint8Array>;
}

/**
 * A program that gets `{"secretId", "version", "current"}` as JSON on its standard input, `current` in base64, and writes the
 * new value to its standard output; one newline at its end is left out.
 */
export function commandProvider(argv: readonly string[], timeout = 60_000): RotationProvider {
  return {
    async rotate({ secretId, version, current }) {
      const input = Buffer.from(JSON.stringify({ secretId, version, current: Buffer.from(current).toString("base64") }));
      try {
        const answer = await runProgram({ argv, input, timeout, maxBytes: MAX_VALUE + 1 });
        return answer.at(-1) === 0x0a ? answer.subarray(0, -1) : answer;
      } finally {
        input.fill(0);
      }
    },
  };
}

/** Beyond the provider's own time, so that a claim never ends while it may still answer, ms. */
const MARGIN = 60_000;

/**
 * The next version. Of several who try at once, one wins and the others get CONFLICT, before a provider was asked anything.
 * Throws FAILED_PRECONDITION without a value and a provider, what the provider throws, DEADLINE_EXCEEDED, PAYLOAD_TOO_LARGE.
 */
export async function rotate(
  { backend, settings }: { readonly backend: SecretBackend; readonly settings: SecretSettings },
  { info, value }: StoredSecret,
  given: Uint8Array | undefined,
): Promise<number> {
  const { secretId, currentVersion: after, owner, expiresAt, autoRotate, allow, maxReads, canary } = info;
  const { grace, timeout } = settings.rotation;
  const next = { policy: { owner, expiresAt, autoRotate, allow, maxReads, canary }, after, grace };
  if (given !== undefined) return await backend.add(secretId, { ...next, value: given });
  const provider = providerOf(info, settings);
  await backend.claim(secretId, after, (await backend.latestTime()) + timeout + MARGIN);
  try {
    const current = await value(after);
    const made = await withinTime(timeout, async (signal) => await provider.rotate({ secretId, version: after + 1, current, signal })).finally(() =>
      current.fill(0),
    );
    if (made.length === 0) throw new CofferdamError("UPSTREAM_UNAVAILABLE", `the provider of ${secretId} answered with nothing`);
    if (made.length > MAX_VALUE) throw new CofferdamError("PAYLOAD_TOO_LARGE", `the provider of ${secretId} answered with more than ${MAX_VALUE} bytes`);
    return await backend.add(secretId, { ...next, value: made, claimed: true });
  } catch (error) {
    // What could not be given up ends by itself.
    await backend.claim(secretId, after, 0).catch(() => undefined);
    throw wrapError(error, "UPSTREAM_UNAVAILABLE", `the provider of ${secretId} failed`);
  }
}

function providerOf({ secretId, autoRotate }: SecretInfo, { rotation: { providers } }: SecretSettings): RotationProvider {
  const name = autoRotate?.provider;
  if (name === undefined)
    throw new CofferdamError("FAILED_PRECONDITION", `${secretId} has no provider of new values`, {
      hint: "give the new value yourself: rotateSecret(id, value)",
    });
  const provider = providers.get(name);
  if (provider !== undefined) return provider;
  throw new CofferdamError("FAILED_PRECONDITION", `${secretId} is rotated by the provider ${name}, which is not configured here`, {
    details: { provider: name },
    hint: `secrets: {providers: {${name}: {command: [PROGRAM]}}}`,
  });
}

async function withinTime<T>(timeout: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const limit = AbortSignal.timeout(timeout);
  const over = Promise.withResolvers<never>();
  const end = (): void => over.reject(new CofferdamError("DEADLINE_EXCEEDED", `the provider did not answer within ${timeout} ms`));
  limit.addEventListener("abort", end, { once: true });
  try {
    return await Promise.race([work(limit), over.promise]);
  } finally {
    limit.removeEventListener("abort", end);
  }
}
