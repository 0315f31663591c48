/** A caller of the jail: reads one request from standard input, runs it as a script of an install, prints one answer. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { parseInput } from "../../../dist/foundation/index.js";
// It is started once an attack: whole rooms would take longer to load than the attack itself.
import { scriptJail } from "../../../dist/packages/scripts/jail.js";
import { parseScriptManifest } from "../../../dist/packages/scripts/manifest.js";
import { projectSubject, type ScriptSubject } from "../../../dist/packages/scripts/subject.js";
import { presetOf } from "../../../dist/policy/values.js";
import { maskedNodes, runJail } from "../../../dist/sandbox/index.js";

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
const jail = scriptJail({
  subject,
  manifest: parseScriptManifest("{}"),
  script: { event: "postinstall", body: "true" },
  decision: { subject, package: "own@1.0.0", run: "jailed", basis: "approved", why: "", grant: { net: [], write: [], key: undefined } },
  masked: maskedNodes(project),
  resolve: () => undefined,
  options: {
    root: project,
    initCwd: project,
    command: { verb: "ci", omit: new Set() },
    client: { node, script: join(project, "npm-cli.js"), folder: project, version: "11.0.0" },
    nodeVersion: process.version,
    policy: presetOf("medium"),
    caller: process.env,
    signal: AbortSignal.timeout(60_000),
  },
});
const result = await runJail({ ...jail.request, command, limits: { ...jail.request.limits, ...limits } }, { bubblewrap: "/usr/bin/bwrap", helper });
jail.close();
process.stdout.write(JSON.stringify({ output: `${result.stdout}\n${result.stderr}`, ...(result.killedBy === undefined ? {} : { killedBy: result.killedBy }) }));
