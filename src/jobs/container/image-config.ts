/**
 * What an image says about how it wants to be run, read as what it is: a stranger's word. What a job can use is taken over
 * within bounds; the rest is dropped and named, or the image is refused. Health checks and labels are never taken over: the
 * engine runs the first outside of any step, and other programs of the host act on the second.
 * Source: image-spec v1.1 config.md; docker inspect's `Config`.
 */
import { z } from "zod";
import { CofferdamError, parseInput } from "../../foundation/index.ts";
import { insidePath, variableName } from "./spec.ts";

export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly env: ReadonlyMap<string, string>;
  /** Names of the image's variables that the container does not get. */
  readonly droppedEnv: readonly string[];
  /** As the image writes it; "" for root. */
  readonly user: string;
  readonly workingDir: string | undefined;
  /** Folders that the engine would make a volume for, on its disk and without a limit. */
  readonly volumes: readonly string[];
  readonly labels: readonly string[];
  readonly stopSignal: string | undefined;
  /** For the report. */
  readonly notes: readonly string[];
}

const MAX_TEXT = 131_071;
const MAX_MANY = 1000;
const MAX_VOLUMES = 64;

const text = z.string().max(MAX_TEXT);
const texts = z.array(text).max(MAX_MANY).nullish();
const schema = z.looseObject({
  Env: texts,
  Cmd: texts,
  Entrypoint: texts,
  User: z.string().max(256).nullish(),
  WorkingDir: z.string().max(4096).nullish(),
  Volumes: z.record(text, z.unknown()).nullish(),
  Labels: z.record(text, text).nullish(),
  StopSignal: z.string().max(32).nullish(),
  Healthcheck: z.unknown().optional(),
});

/** They change what a program is before its first line, or are ours. */
const RESERVED_ENV = /^(COFFERDAM_.*|LD_PRELOAD|LD_AUDIT|GLIBC_TUNABLES|DOCKER_HOST|HOSTNAME)$/i;
/** A name or number, and the same for a group. */
const USER = /^([A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?)?$/;
const SIGNAL = /^(SIG)?[A-Z0-9+-]{1,16}$/;

/** Throws SECURITY_VIOLATION for a configuration that cannot be run safely. */
export function readImageConfig(config: unknown): ImageConfig {
  const image = parseInput(schema, config ?? {}, "the image's configuration", "SECURITY_VIOLATION");
  const env = new Map<string, string>();
  const droppedEnv: string[] = [];
  for (const variable of image.Env ?? []) {
    const at = variable.indexOf("=");
    const name = at < 0 ? variable : variable.slice(0, at);
    if (at > 0 && variableName.safeParse(name).success && !RESERVED_ENV.test(name) && !variable.includes("\0")) env.set(name, variable.slice(at + 1));
    else droppedEnv.push(name);
  }
  const user = image.User ?? "";
  if (!USER.test(user)) refuse("user", `the image's USER is not a user: ${JSON.stringify(user.slice(0, 80))}`);
  const volumes = Object.keys(image.Volumes ?? {}).map((path) => trimSlash(path));
  if (volumes.length > MAX_VOLUMES) refuse("volumes", `the image asks for ${volumes.length} volumes; at most ${MAX_VOLUMES}`);
  for (const path of volumes) if (!insidePath.safeParse(path).success) refuse("volumes", `the image asks for a volume at ${JSON.stringify(path.slice(0, 80))}`);
  const folder = trimSlash(image.WorkingDir ?? "");
  if (folder !== "" && !insidePath.safeParse(folder).success) refuse("working directory", `the image's WORKDIR is ${JSON.stringify(folder.slice(0, 80))}`);
  const stopSignal = image.StopSignal === null || image.StopSignal === "" ? undefined : image.StopSignal;
  const labels = Object.keys(image.Labels ?? {});
  const goodSignal = stopSignal !== undefined && SIGNAL.test(stopSignal) ? stopSignal : undefined;
  return {
    entrypoint: image.Entrypoint ?? [],
    command: image.Cmd ?? [],
    env,
    droppedEnv,
    user,
    workingDir: folder === "" ? undefined : folder,
    volumes,
    labels,
    stopSignal: goodSignal,
    notes: [
      ...(droppedEnv.length === 0 ? [] : [`variables of the image left out: ${list(droppedEnv)}`]),
      ...(volumes.length === 0 ? [] : [`volumes of the image are in memory and begin empty: ${list(volumes)}`]),
      ...(labels.length === 0 ? [] : [`labels of the image are emptied: ${list(labels)}`]),
      ...(image.Healthcheck === undefined || image.Healthcheck === null ? [] : ["the image's health check is off"]),
      ...(stopSignal === goodSignal ? [] : ["the image's stop signal is not one: SIGTERM is used"]),
    ],
  };
}

function refuse(control: string, message: string): never {
  throw new CofferdamError("SECURITY_VIOLATION", message, { details: { control } });
}

/** Images write /data/ and /data for the same folder. */
function trimSlash(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, "") : path;
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 5).map((name) => JSON.stringify(name.slice(0, 64)).slice(1, -1));
  return names.length > 5 ? `${shown.join(", ")} and ${names.length - 5} more` : shown.join(", ");
}
