/** Fetches and verifies the judged set ahead of the client, many at a time; the first refusal ends it. */
import { arch } from "node:os";
import { CofferdamError } from "../../foundation/index.ts";
import type { TarballSource, TarballSummary } from "../gate/index.ts";
import type { PlannedTarball } from "./judged-set.ts";
import { usesMusl } from "./project.ts";

/**
 * @returns summaries of what is verified now, by {@link keyOfTarball}.
 * Optional packages that cannot be reached are left to the client; one whose bytes are wrong is refused like any other.
 */
export async function fetchAll(
  planned: readonly PlannedTarball[],
  source: TarballSource,
  omit: ReadonlySet<string>,
  concurrency: number,
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<Map<string, TarballSummary>> {
  const libc = usesMusl() ? "musl" : "glibc";
  const needed = planned.filter(
    ({ locked }) => !(locked.dev && omit.has("dev")) && fits(locked.os, "linux") && fits(locked.cpu, arch()) && fits(locked.libc, libc),
  );
  const verified = new Map<string, TarballSummary>();
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  let next = 0;
  const runner = async (): Promise<void> => {
    for (let one = needed[next++]; one !== undefined && !stop.aborted; one = needed[next++]) {
      try {
        verified.set(keyOfTarball(one.name, one.version, one.integrity), await source.ensure(one, stop));
        onProgress(verified.size, needed.length);
      } catch (error) {
        if (one.optional && isUnreachable(error) && !stop.aborted) continue;
        // The first failure is the one to report; the others only follow from the stop.
        failed.abort();
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: Math.min(concurrency, needed.length) }, runner));
  if (signal.aborted) throw new CofferdamError("CANCELLED", "interrupted");
  const errors = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
  const real = errors.find((error) => !(error instanceof CofferdamError && error.code === "CANCELLED")) ?? errors[0];
  if (real !== undefined) throw real;
  return verified;
}

/** How a verified tarball is looked up by what a lockfile says of it. */
export function keyOfTarball(name: string, version: string | undefined, integrity: string | undefined): string {
  return `${name}@${version ?? "?"} ${integrity ?? ""}`;
}

function isUnreachable(error: unknown): boolean {
  return error instanceof CofferdamError && (error.code === "UPSTREAM_UNAVAILABLE" || error.code === "NOT_FOUND" || error.code === "PERMISSION_DENIED");
}

/** npm's rule for os, cpu and libc: a list of names, or of `!names` that are excluded. */
function fits(list: readonly string[], value: string): boolean {
  if (list.length === 0 || list.includes("any")) return true;
  if (list.includes(`!${value}`)) return false;
  return list.includes(value) || list.every((name) => name.startsWith("!"));
}
