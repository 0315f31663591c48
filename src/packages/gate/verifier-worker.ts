/** Worker thread of the verifier: hash, structure, store; one answer a job. See verifier.ts. */
import { hash } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { CofferdamError, errnoOf, wrapError } from "../../foundation/index.ts";
import { inspectTarball, installedFiles, integrityFailure, type TarballManifest, verifyBytes, verifyFile } from "../../integrity/index.ts";
import { strongestDigest } from "./digest.ts";
import type { GateLimits } from "./limits.ts";
import { type InstalledFile, TarballStore, type TarballSummary } from "./tarball-store.ts";
import type { CheckCost, VerifyAnswer, VerifyJob } from "./verifier.ts";

interface WorkerInput {
  readonly stateDir: string;
  readonly incoming: string;
  readonly limits: GateLimits;
}

const port = parentPort;
if (port !== null) {
  const { stateDir, incoming, limits }: WorkerInput = workerData;
  const store = new TarballStore(stateDir, incoming);
  port.on("message", (job: VerifyJob & { readonly id: number }) => {
    const started = performance.now();
    const cpu = process.threadCpuUsage();
    const cost = (): CheckCost => {
      const { user, system } = process.threadCpuUsage(cpu);
      return { wallMs: performance.now() - started, cpuMs: (user + system) / 1000 };
    };
    verify(job, store, limits).then(
      (summary) => port.postMessage({ id: job.id, cost: cost(), summary } satisfies VerifyAnswer),
      (error: unknown) => port.postMessage({ id: job.id, cost: cost(), error: answerOf(error, `${job.name}@${job.version}`) } satisfies VerifyAnswer),
    );
  });
}

async function verify(job: VerifyJob, store: TarballStore, limits: GateLimits): Promise<TarballSummary> {
  const { source } = job;
  const { sha512, bytes, manifest } = "bytes" in source ? await checkBytes(job, source.bytes, limits) : await checkFile(job, source.path, limits);
  const files = [...installedFiles(manifest)].map(([path, file]): InstalledFile => [path, file.size, file.sha256]);
  const { name, version, installScripts, bin } = manifest.package;
  const summary: TarballSummary = { name, version, installScripts, bundled: manifest.bundled, bin, sha512, bytes, unpackedBytes: manifest.unpackedBytes };
  const wanted = job.integrity === undefined ? undefined : strongestDigest(job.integrity);
  store.put(source, wanted ?? { algorithm: "sha512", hex: sha512 }, summary, files);
  return summary;
}

interface Checked {
  readonly sha512: string;
  readonly bytes: number;
  readonly manifest: TarballManifest;
}

async function checkBytes(job: VerifyJob, bytes: Uint8Array, limits: GateLimits): Promise<Checked> {
  const sha512 = hash("sha512", bytes, "hex");
  if (job.integrity !== undefined) {
    const result = verifyBytes(bytes, job.integrity);
    if (!result.ok) throw integrityFailure(`${job.name}@${job.version}`, result);
  }
  return { sha512, bytes: bytes.length, manifest: await inspectTarball(bytes, limits) };
}

async function checkFile(job: VerifyJob, path: string, limits: GateLimits): Promise<Checked> {
  // Two passes over a large file at most: its own sha512, and the promised digest where that is another algorithm.
  const own = await verifyFile(path, "0".repeat(128));
  if (job.integrity !== undefined) {
    const result = await verifyFile(path, job.integrity);
    if (!result.ok) throw integrityFailure(`${job.name}@${job.version}`, result);
  }
  return { sha512: own.actual, bytes: own.bytes, manifest: await inspectTarball(path, limits) };
}

function answerOf(error: unknown, subject: string): { code: CofferdamError["code"]; message: string; details: CofferdamError["details"] } {
  const known =
    errnoOf(error) === "ENOSPC"
      ? new CofferdamError("RESOURCE_EXHAUSTED", "the disk of the state directory is full")
      : wrapError(error, "INTERNAL", "tarball check");
  return {
    code: known.code,
    message: known.message.startsWith(subject) ? known.message : `${subject}: ${known.message}`,
    details: { subject, ...known.details },
  };
}
