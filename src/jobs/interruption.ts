/** What ends a wait early, and how it is told: signals carry the reason, whatever they interrupt. */
import { CofferdamError, formatDuration } from "../foundation/index.ts";

/** Why a signal was aborted, when it was. */
export function interruptionOf(signal: AbortSignal): CofferdamError | undefined {
  if (!signal.aborted) return undefined;
  const reason: unknown = signal.reason;
  // Without its hint, which is about what the caller had been doing and not about a job.
  return reason instanceof CofferdamError ? new CofferdamError(reason.code, reason.message) : new CofferdamError("CANCELLED", "interrupted");
}

export function either(...signals: readonly AbortSignal[]): AbortSignal {
  return AbortSignal.any([...signals]);
}

/** The answer, or the reason of the first signal, also when `answer` never settles or fails because of it. */
export async function sooner<T>(answer: Promise<T>, ...signals: readonly AbortSignal[]): Promise<T> {
  const reason = (): CofferdamError | undefined => signals.map(interruptionOf).find((error) => error !== undefined);
  const release = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    for (const signal of signals) {
      if (signal.aborted) reject(reason());
      else signal.addEventListener("abort", () => reject(reason()), { once: true, signal: release.signal });
    }
  });
  try {
    return await Promise.race([answer, aborted]);
  } catch (error) {
    throw reason() ?? error;
  } finally {
    release.abort();
    answer.catch(() => undefined);
  }
}

/** Aborted by the caller, or when the time is over. */
export function withDeadline(signal: AbortSignal, ms: number): { readonly signal: AbortSignal; done(): void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new CofferdamError("DEADLINE_EXCEEDED", `the job ran longer than ${formatDuration(ms)}`)), ms);
  return { signal: AbortSignal.any([signal, controller.signal]), done: () => clearTimeout(timer) };
}
