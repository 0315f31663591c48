/** A caller of the jail: reads one request from standard input, runs it as a script of an install, prints one answer. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { parseInput } from "../../../dist/foundation/index.js";
import { parseClientCommand } from "../../../dist/packages/install/command.js";
import type { Approvals } from "../../../dist/packages/scripts/approvals.js";
import { decide } from "../../../dist/packages/scripts/decide.js";
import { scriptJail } from "../../../dist/packages/scripts/jail.js";
import { parseScriptManifest } from "../../../dist/packages/scripts/manifest.js";
import { projectSubject, type ScriptSubject } from "../../../dist/packages/scripts/subject.js";
import { presetOf } from "../../../dist/policy/index.js";
import { maskedNodes, runJail } from "../../../dist/sandbox/index.js";
import { Telemetry } from "../../../dist/telemetry/index.js";

export interface InsideRequest {
  readonly command: readonly string[];
  readonly project: string;
  readonly at: "package" | "project";
  readonly node: string;
  readonly helper: string;
  /** Who the caller is; undefined for whoever started this. */
  readonly ids?: { readonly uid: number; readonly gid: number } | undefined;
  readonly limits: Readonly<Record<string, number>>;
}

const schema: z.ZodType<InsideRequest> = z.strictObject({
  command: z.array(z.string()),
  project: z.string(),
  at: z.enum(["package", "project"]),
  node: z.string(),
  helper: z.string(),
  ids: z.strictObject({ uid: z.number(), gid: z.number() }).optional(),
  limits: z.record(z.string(), z.number()),
});

const { command, project, at, node, helper, ids, limits } = parseInput(schema, JSON.parse(readFileSync(0, "utf8")), "request");
if (ids !== undefined) {
  process.setgroups?.([]);
  process.setgid?.(ids.gid);
  process.setuid?.(ids.uid);
}
const subject: ScriptSubject =
  at === "project"
    ? projectSubject("project", "1.0.0")
    : { path: "node_modules/own", name: "own", version: "1.0.0", origin: "dependency", integrity: undefined, locked: undefined };
const policy = presetOf("medium");
const approvals: Approvals = { source: undefined, field: "allowScripts", ignored: [], verdict: () => ({ verdict: "approved", by: "own" }) };
const jail = scriptJail({
  subject,
  manifest: parseScriptManifest("{}"),
  script: { event: "postinstall", body: "true" },
  decision: decide({ level: "medium", approvals, clientSkipsUnlisted: false, ignoreScripts: false, approved: [], grants: {} }, subject),
  masked: maskedNodes(project),
  resolve: () => undefined,
  options: {
    root: project,
    initCwd: project,
    lockfile: { version: 3, packages: [], rootDependencies: new Map(), sha256: "" },
    command: parseClientCommand(["npm", "ci"], {}),
    client: { node, script: join(project, "npm-cli.js"), folder: project, version: "11.0.0" },
    nodeVersion: process.version,
    treeChanged: true,
    policy,
    approvals,
    ignoreScripts: false,
    caller: process.env,
    hasScripts: () => true,
    isDone: () => false,
    tools: { bubblewrap: "/usr/bin/bwrap", helper },
    telemetry: new Telemetry({}),
    signal: AbortSignal.timeout(60_000),
  },
});
const result = await runJail({ ...jail.request, command, limits: { ...jail.request.limits, ...limits } }, { bubblewrap: "/usr/bin/bwrap", helper });
jail.close();
process.stdout.write(JSON.stringify({ output: `${result.stdout}\n${result.stderr}`, ...(result.killedBy === undefined ? {} : { killedBy: result.killedBy }) }));
