/** `cofferdam install -- npm ci` and its shorthand `cofferdam npm ci`. */
import { ERROR_TABLE, formatBytes, systemClock } from "../../foundation/index.ts";
import {
  type AdvisorySummary,
  exitOf,
  findingDocument,
  guardedInstall,
  type InstallProgress,
  type InstallResult,
  jailTools,
  locateBubblewrap,
  type ScriptOutcome,
  scriptAdvice,
  sourceDocument,
} from "../../packages/index.ts";
import { Telemetry, type ThresholdExceeded } from "../../telemetry/index.ts";
import type { Command, CommandContext } from "./command.ts";
import { installReport } from "./install-report.ts";
import { writeMetrics } from "./metrics.ts";
import { openAdvisories, openPolicy, withState } from "./session.ts";
import { version } from "./version.ts";

export const installCommand: Command = {
  name: "install",
  summary: "Judges the lockfile, verifies every tarball, runs the client in a box, compares the installed tree.",
  usage: "[OPTIONS] -- npm ci|install|update|uninstall [ARGS]",
  examples: ["cofferdam install -- npm ci", "cofferdam install --level high -- npm ci --omit=dev", "cofferdam install --json -- npm install express"],
  options: {
    "client-output": { type: "boolean", describe: "show what the client prints while it runs" },
    metrics: { type: "string", value: "FILE", describe: "write durations as Prometheus text (for a textfile collector)" },
  },
  passthrough: "after-dashes",
  run,
};

export const npmCommand: Command = {
  name: "npm",
  summary: "The same as `cofferdam install -- npm ...`.",
  usage: "ci|install|update|uninstall [ARGS]",
  examples: ["cofferdam npm ci", "cofferdam npm install express"],
  options: {},
  passthrough: "all",
  run: (context) => run({ ...context, args: ["npm", ...context.args] }),
};

async function run(context: CommandContext): Promise<number> {
  const { globals, out, args, cwd, env, signal } = context;
  const policy = await openPolicy(context);
  for (const notice of policy.notices) out.note(`cofferdam: ${notice}`);
  const { values } = policy;
  const telemetry = new Telemetry({
    thresholds: {
      integrity: values["thresholds.integrity"],
      scan: values["thresholds.scan"],
      audit: values["thresholds.audit"],
      protection: values["thresholds.protection"],
      script: values["thresholds.script"],
    },
  });
  const slow: ThresholdExceeded[] = [];
  telemetry.events.on("thresholdExceeded", (event) => slow.push(event));
  const result = await withState(context, async ({ store, audit }) => {
    await using advisories = await openAdvisories(context);
    return await guardedInstall({
      command: args,
      cwd,
      env,
      policy,
      stateDir: globals.state,
      store,
      advisories,
      audit,
      clock: systemClock,
      telemetry,
      signal,
      bubblewrap: locateBubblewrap(env["PATH"] ?? ""),
      jail: () => jailTools(env["PATH"] ?? ""),
      onProgress: (progress) => out.progress(progressLine(progress)),
      ...(context.values["client-output"] === true ? { onClientOutput: (text: string) => out.note(text) } : {}),
    });
  });
  const metrics = context.values["metrics"];
  if (typeof metrics === "string") await writeMetrics(metrics, cwd, telemetry, version());
  if (globals.json) out.json({ ...installDocument(result), operations: Object.fromEntries(telemetry.snapshot()), thresholdExceeded: slow });
  else if (result.decision === "allowed") out.note(installReport(result));
  else out.fault(installReport(result));
  const exit = exitOf(result, ERROR_TABLE);
  if (result.stoppedBy !== undefined) out.fault(`cofferdam: stopped ${result.stoppedBy.code}`);
  return exit;
}

function scriptDocument(one: ScriptOutcome, result: InstallResult): object {
  const { package: name, path, event, decision, run, optional } = one;
  const { yaml, skip } = scriptAdvice(one, result);
  return {
    ...{ package: name, path, script: event, decision: decision.run, why: decision.why, optional },
    ...(decision.review === undefined ? {} : { review: decision.review }),
    ...(run === undefined ? {} : { ...run, exit: run.exit ?? null }),
    ...(yaml === undefined ? {} : { grant: yaml }),
    ...(skip === undefined ? {} : { skip }),
  };
}

function progressLine({ phase, done, total, what }: InstallProgress): string {
  if (phase === "scripts") return `in the jail: ${what ?? ""}`;
  if (phase === "fetch") return `verifying ${done} of ${total} packages`;
  return phase === "client" ? `npm is installing ${total} packages in the box` : `comparing the installed tree with ${total} verified packages`;
}

function advisoriesDocument({ findings, unjudged, sources, base }: AdvisorySummary): object {
  return { findings: findings.map(findingDocument), unjudged, sources: sources.map(sourceDocument), base };
}

/** `--json`: fields may be added, never renamed. What this version does not check is in `notChecked`, not an empty list. */
function installDocument(result: InstallResult): object {
  return {
    schema: "cofferdam/install/v1",
    manager: result.manager,
    command: result.command,
    level: result.level,
    mode: result.mode,
    policy: result.policyDigest,
    packages: result.packages,
    verified: result.verified,
    denied: result.findings.filter((finding) => finding.decision === "deny"),
    findings: result.findings,
    ...(result.advisories === undefined ? {} : { advisories: advisoriesDocument(result.advisories) }),
    scripts: result.scripts.map((one) => scriptDocument(one, result)),
    notChecked: result.notChecked,
    decision: result.decision,
    ...(result.stoppedBy === undefined ? {} : { stoppedBy: result.stoppedBy }),
    ...(result.layers === undefined ? {} : { layers: result.layers }),
    ...(result.tree === undefined
      ? {}
      : {
          tree: {
            files: result.tree.files,
            bytes: result.tree.bytes,
            packages: result.tree.packages,
            differences: result.tree.differences,
            differenceCount: result.tree.differenceCount,
            leftAlone: result.tree.leftAlone,
          },
        }),
    ...(result.client === undefined
      ? {}
      : { client: { exit: result.client.exit ?? null, signal: result.client.signal ?? null, output: result.client.output } }),
    ...(result.repaired === undefined ? {} : { repaired: result.repaired }),
    ...(result.movedTo === undefined ? {} : { movedTo: result.movedTo }),
    fetched: { ...result.fetched, text: formatBytes(result.fetched.bytes) },
    times: result.times,
    ...(result.auditRange === undefined ? {} : { auditRange: result.auditRange }),
  };
}
