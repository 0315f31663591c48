/** `cofferdam job run`: from options to a job, its streams, and what is said before and after. */
import { once } from "node:events";
import { createReadStream, lstatSync } from "node:fs";
import { resolve } from "node:path";
import type { Attachment, ContainerEngine } from "../../engine/index.ts";
import { CofferdamError, parseDuration } from "../../foundation/index.ts";
import { type JobCredential, type JobReport, type JobSpec, newJobId } from "../../jobs/index.ts";
import { PRIORITIES } from "../../quota/index.ts";
import { SecretManagementSystem } from "../../secrets/index.ts";
import { CLIENT } from "./client.ts";
import type { Command, CommandContext, OptionValue } from "./command.ts";
import { ENGINE_OPTION } from "./engine-option.ts";
import { jobNames, NAME_OPTIONS } from "./job-names.ts";
import { jobRunDocument } from "./job-page.ts";
import { jobEnd, jobExit, jobHeader } from "./job-report.ts";
import { type JobSession, withJobs } from "./job-session.ts";
import { secretOptionsOf } from "./secret-session.ts";

export const jobRun: Command = {
  name: "run",
  summary: "Runs a command in a container that has only what it was given, and reports what it did.",
  usage: "--image IMAGE --repo OWNER/NAME [OPTIONS] [-- COMMAND [ARGS]]",
  examples: [
    "cofferdam job run --image node:22 --repo acme/web --workspace . -- npm test",
    "cofferdam job run --image busybox --repo acme/web --memory 512MiB --timeout 5m -- sh -c 'make && make test'",
    "cofferdam job run --image node:22 --repo acme/web --interactive --tty -- sh",
    "cofferdam job run --load image.tar --repo acme/web -- make",
    "cofferdam job run --image node:22 --repo acme/web --egress packages.example:443 --workspace . -- npm ci",
    "cofferdam job run --image node:22 --repo acme/web --secret NPM_TOKEN=npm/publish -- sh -c 'publish < /run/secrets/NPM_TOKEN'",
  ],
  options: {
    ...ENGINE_OPTION,
    image: { type: "string", value: "IMAGE", describe: "tag, digest or id; it must be there: nothing is pulled" },
    load: { type: "string", value: "FILE", describe: "an archive of `docker save` with one image, loaded first; --image may then be left out" },
    repo: { type: "string", value: "OWNER/NAME", describe: "whose job it is" },
    ...NAME_OPTIONS,
    workspace: { type: "string", value: "DIR", describe: "a folder for the job, at /workspace: copied in, and its results out" },
    bind: { type: "boolean", describe: "the workspace itself, not a copy of it (below level paranoid)" },
    workdir: { type: "string", value: "PATH", describe: "where the command starts (default /workspace, else the image's)" },
    env: { type: "string", value: "NAME[=VALUE]", multiple: true, describe: "a variable for the job; without a value, the caller's" },
    user: { type: "string", value: "UID[:GID]", describe: "who the job is (default: the image's, where the level allows it)" },
    cpu: { type: "string", value: "N", describe: "cores, e.g. 1.5" },
    memory: { type: "string", value: "SIZE", describe: "all processes together" },
    pids: { type: "string", value: "N", describe: "processes and threads at once" },
    disk: { type: "string", value: "SIZE", describe: "the workspace, and what it writes to its image" },
    priority: { type: "string", value: "NAME", describe: `${PRIORITIES.join(", ")}: place in the queue, and the tier` },
    wait: { type: "string", value: "TIME", describe: "wait so long for resources; without it, what is not free now is refused" },
    id: { type: "string", value: "ID", describe: "the job's id (default: a new one)" },
    events: { type: "boolean", describe: "what happens, as it happens, one JSON document a line on stderr" },
    interactive: { type: "boolean", describe: "standard input goes to the job" },
    tty: { type: "boolean", describe: "a terminal for the job" },
    egress: { type: "string", value: "HOST:PORT", multiple: true, describe: "what it may reach besides jobs.egress: name, *.name, address, range" },
    secret: { type: "string", value: "NAME=ID", multiple: true, describe: "the secret ID as the file /run/secrets/NAME, in memory" },
    "secret-env": { type: "string", value: "NAME=ID", multiple: true, describe: "the secret ID as a variable of the command, where the policy accepts that" },
  },
  passthrough: "after-dashes",
  run: execute,
};

async function execute(context: CommandContext): Promise<number> {
  const { values } = context;
  const repository = needed(context, "repo", "--repo acme/web");
  if (values["load"] === undefined) needed(context, "image", "--image busybox");
  const priority = PRIORITIES.find((name) => name === values["priority"]);
  if (values["priority"] !== undefined && priority === undefined) throw new CofferdamError("INVALID_ARGUMENT", `--priority is one of ${PRIORITIES.join(", ")}`);
  const config = {
    repository,
    ...jobNames(context),
    priority,
    credential: credentialOf(context),
    wait: duration(values["wait"]),
    resources: resourcesOf(values),
    egress: list(values["egress"]),
  };
  const spec = specOf(context);
  const work = async (session: JobSession): Promise<number> => {
    const image = await imageOf(context, session);
    return tell(await runIn(session, context, { ...config, image }, spec), context);
  };
  return await withJobs(context, work, async (policy, places, parts) => new SecretManagementSystem({ ...(await secretOptionsOf(policy, places)), ...parts }));
}

/** Of whoever asks for the job, where the policy wants to know: never an argument, which every process of the machine can read. */
function credentialOf({ env }: CommandContext): JobCredential {
  const [token, session] = [env["COFFERDAM_TOKEN"], env["COFFERDAM_SESSION"]].map((value) => (value === "" ? undefined : value));
  return { token, session, ...CLIENT };
}

async function runIn(
  { orchestrator, engine, policy }: JobSession,
  { values, out, signal, globals }: CommandContext,
  config: Parameters<JobSession["orchestrator"]["runJob"]>[1] & { readonly image: string },
  spec: JobSpec,
): Promise<JobReport> {
  const jobId = text(values["id"]) ?? newJobId();
  const { repository, image } = config;
  const say = (event: string, details: object): void => {
    if (values["events"] === true) out.fault(JSON.stringify({ event, at: new Date().toISOString(), jobId, ...details }));
  };
  const { level, mode } = policy.values;
  orchestrator.events.on("securityContextCreated", ({ resources }) => say("ready", { resources }));
  orchestrator.events.on("jobBlocked", ({ reason }) => say("blocked", { reason }));
  orchestrator.events.on("threatHandled", ({ threat }) => say("threat", { threat: threat.id, type: threat.type }));
  orchestrator.quota.events.on("quotaViolation", ({ resource, kind, times }) => say("violation", { resource, kind, times }));
  orchestrator.networks?.events.on("networkViolation", ({ message, reason }) => say("refused", { reason, message }));
  orchestrator.quota.events.on("resourcesAllocated", ({ limits: { cpu, memory, pids, disk } }) =>
    out.note(jobHeader({ jobId, repository, level, mode, image, quota: { cpu, memory, pids, disk } })),
  );
  orchestrator.quota.events.on("resourcesQueued", ({ before }) => out.note(`cofferdam: job ${jobId} waits for resources, ${before} before it`));
  const terminal = new Terminal(engine, spec.tty === true);
  try {
    return await orchestrator.runJob(jobId, config, spec, signal, {
      onOutput: async ({ source, bytes }) => await write(globals.json || source === "stderr" ? process.stderr : process.stdout, bytes, signal),
      ...(spec.stdin === true ? { stdin: process.stdin } : {}),
      onAttached: async (_: Attachment, id) => await terminal.open(id),
      onStarted: () => say("started", {}),
    });
  } finally {
    terminal.close();
    // A pipe that nobody closes would keep us.
    if (spec.stdin === true) process.stdin.pause().unref?.();
  }
}

function tell(report: JobReport, { out, globals }: CommandContext): number {
  if (globals.json) out.json(jobRunDocument(report));
  else if (report.verdict === "passed") out.note(jobEnd(report));
  else out.fault(jobEnd(report));
  if (report.stoppedBy !== undefined) out.fault(`cofferdam: stopped ${report.stoppedBy.code}`);
  return jobExit(report);
}

/** Waits while its reader is slow: the engine then waits too, and nothing piles up here. */
async function write(stream: NodeJS.WriteStream, bytes: Buffer, signal: AbortSignal): Promise<void> {
  if (stream.write(bytes) || signal.aborted) return;
  await once(stream, "drain", { signal }).catch(() => undefined);
}

/** Keys go to the job as they are typed, and its terminal is as large as ours. */
class Terminal {
  readonly #engine: ContainerEngine;
  readonly #wanted: boolean;
  #resize: (() => void) | undefined;

  constructor(engine: ContainerEngine, tty: boolean) {
    this.#engine = engine;
    this.#wanted = tty && process.stdout.isTTY;
  }

  async open(id: string): Promise<void> {
    if (!this.#wanted) return;
    if (process.stdin.isTTY) process.stdin.setRawMode(true);
    const resize = async (): Promise<void> => {
      const { rows, columns } = process.stdout;
      // Its size is a nicety: a job runs without it.
      await this.#engine.containers.resize(id, { rows, columns }).catch(() => undefined);
    };
    this.#resize = () => void resize();
    process.stdout.on("resize", this.#resize);
    await resize();
  }

  close(): void {
    if (this.#resize === undefined) return;
    process.stdout.off("resize", this.#resize);
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
  }
}

/** What --image names, or the one image that --load brings; both: it must be the one that is named. */
async function imageOf({ values, cwd, out, signal }: CommandContext, { engine }: JobSession): Promise<string> {
  const named = text(values["image"]);
  const file = text(values["load"]);
  if (file === undefined) return named ?? "";
  const path = resolve(cwd, file);
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) throw new CofferdamError("NOT_FOUND", `there is no file ${file.slice(0, 500)}`);
  const loaded = await engine.images.load(createReadStream(path), { signal });
  out.note(`cofferdam: loaded ${loaded.slice(0, 5).join(", ")}`);
  if (named !== undefined) return named;
  const [only, ...more] = loaded;
  if (only === undefined || more.length > 0)
    throw new CofferdamError("INVALID_ARGUMENT", `${file.slice(0, 500)} has ${loaded.length} images`, { hint: "say which with --image" });
  // By its id: a tag may lead elsewhere by the time that the job starts.
  return (await engine.images.inspect(only, { signal })).Id;
}

function specOf({ args, values, cwd, env }: CommandContext): JobSpec {
  const workspace = text(values["workspace"]);
  if (workspace === undefined && values["bind"] === true)
    throw new CofferdamError("INVALID_ARGUMENT", "--bind says how --workspace is given, and there is none");
  return {
    ...(args.length === 0 ? {} : { command: [...args] }),
    env: variables(values["env"], env),
    secrets: { files: bindings("secret", values["secret"]), variables: bindings("secret-env", values["secret-env"]) },
    workingDir: text(values["workdir"]),
    user: userOf(text(values["user"])),
    tty: values["tty"] === true,
    stdin: values["interactive"] === true,
    ...(workspace === undefined ? {} : { workspace: { path: resolve(cwd, workspace), mode: values["bind"] === true ? "bind" : "copy" } }),
  };
}

function variables(option: OptionValue, env: Readonly<NodeJS.ProcessEnv>): Record<string, string> {
  const all = new Map<string, string>();
  for (const one of list(option) ?? []) {
    const at = one.indexOf("=");
    const [name, value] = at < 0 ? [one, env[one]] : [one.slice(0, at), one.slice(at + 1)];
    if (value === undefined) throw new CofferdamError("INVALID_ARGUMENT", `--env ${one}: there is no such variable here`, { hint: `--env ${one}=VALUE` });
    all.set(name, value);
  }
  return Object.fromEntries(all);
}

/** NAME=ID, each name once. */
function bindings(option: string, value: OptionValue): Record<string, string> {
  const all = new Map<string, string>();
  for (const one of list(value) ?? []) {
    const at = one.indexOf("=");
    const name = one.slice(0, Math.max(0, at));
    if (at < 1) throw new CofferdamError("INVALID_ARGUMENT", `--${option} ${one.slice(0, 200)}: not NAME=ID`, { hint: `--${option} NPM_TOKEN=npm/publish` });
    if (all.has(name)) throw new CofferdamError("INVALID_ARGUMENT", `--${option} ${name} is there twice`);
    all.set(name, one.slice(at + 1));
  }
  return Object.fromEntries(all);
}

function resourcesOf(values: CommandContext["values"]): Record<string, string> | undefined {
  const named = (["cpu", "memory", "pids", "disk"] as const).flatMap((name) => {
    const value = text(values[name]);
    return value === undefined ? [] : [[name, value] as const];
  });
  return named.length === 0 ? undefined : Object.fromEntries(named);
}

function userOf(value: string | undefined): JobSpec["user"] {
  if (value === undefined) return undefined;
  const [, uid, gid] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(value) ?? [];
  if (uid === undefined) throw new CofferdamError("INVALID_ARGUMENT", `--user ${value}: not UID or UID:GID`);
  return { uid: Number(uid), gid: Number(gid ?? uid) };
}

function needed({ values }: CommandContext, name: string, example: string): string {
  const value = text(values[name]);
  if (value === undefined) throw new CofferdamError("INVALID_ARGUMENT", `--${name} is missing`, { hint: example });
  return value;
}

function duration(value: OptionValue): number | undefined {
  return typeof value === "string" ? parseDuration(value) : undefined;
}

function list(value: OptionValue): string[] | undefined {
  return Array.isArray(value) ? value.map(String) : undefined;
}

function text(value: OptionValue): string | undefined {
  return typeof value === "string" ? value : undefined;
}
