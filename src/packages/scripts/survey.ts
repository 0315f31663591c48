/** Every script that an install of a project would come to, with what would be done about it. Runs nothing, fetches nothing. */
import { join } from "node:path";
import { type LockedPackage, type NpmLockfile, Places } from "../../inventory/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import { locateNpm, type NpmClient } from "../client/locate.ts";
import { lookUp, readNpmrc } from "../client/npmrc.ts";
import { strongestDigest } from "../gate/digest.ts";
import { TarballStore } from "../gate/tarball-store.ts";
import { openProject, type Project, readLockfile } from "../install/project.ts";
import type { Approvals } from "./approvals.ts";
import { decide, type ScriptDecision, type ScriptRules } from "./decide.ts";
import { type DownloadHint, downloadHint, type Extras, extrasFor } from "./exceptions.ts";
import { folderFiles, type PackageFiles, tarballFiles } from "./files.ts";
import { hasBindingGyp, parseScriptManifest, readScriptManifest, type Script, scriptsFor } from "./manifest.ts";
import { NpmApprovals, npmSkipsUnlisted } from "./npm-approvals.ts";
import { eventsOf, inOrder, projectEvents } from "./order.ts";
import { projectSubject, type ScriptSubject, subjectsOf, trustedName } from "./subject.ts";

export interface SurveyRequest {
  readonly cwd: string;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly policy: EffectivePolicy;
  readonly stateDir: string;
}

export interface SurveyedPackage {
  readonly subject: ScriptSubject;
  readonly decision: ScriptDecision;
  /** Event to shell line; the line is undefined when neither tarball nor folder is here to read it from. */
  readonly scripts: readonly { readonly event: string; readonly body: string | undefined }[];
  /** What exceptions that ship would let through for it. */
  readonly extras: readonly (Extras & { readonly exception: string })[];
  readonly hint: DownloadHint | undefined;
}

export interface ScriptSurvey {
  readonly root: string;
  readonly approvals: Approvals;
  /** In the order in which they would run, the project's own last. */
  readonly packages: readonly SurveyedPackage[];
}

/** A project as far as its scripts go. */
export interface ScriptProject {
  readonly project: Project;
  readonly lockfile: NpmLockfile | undefined;
  readonly client: NpmClient | undefined;
  readonly file: NpmApprovals;
  readonly approvals: Approvals;
  readonly rules: ScriptRules;
}

/** Throws what reading the project throws: NOT_FOUND, INVALID_ARGUMENT, PAYLOAD_TOO_LARGE. */
export async function openScriptProject({ cwd, env, policy }: Omit<SurveyRequest, "stateDir">): Promise<ScriptProject> {
  const project = await openProject(cwd);
  const client = npmOn(env["PATH"] ?? "");
  // Of the user's own files: a project's .npmrc may not say whose scripts run.
  const npmrc = client === undefined ? [] : (await readNpmrc(project.root, client, env, new Map())).trusted.slice(2);
  const lists = lookUp(npmrc, "allow-scripts") ?? [];
  const file = new NpmApprovals(project.root, typeof lists === "string" ? [lists] : lists);
  const approvals = await file.read();
  const rules: ScriptRules = {
    level: policy.values.level,
    approvals,
    // Without an npm to ask, the careful answer.
    clientSkipsUnlisted: client === undefined || npmSkipsUnlisted(client.version),
    ignoreScripts: lookUp(npmrc, "ignore-scripts") === "true",
    approved: policy.values["scripts.approved"],
    grants: policy.values["scripts.grants"],
  };
  return { project, lockfile: (await readLockfile(project))?.lockfile, client, file, approvals, rules };
}

export async function surveyScripts(request: SurveyRequest): Promise<ScriptSurvey> {
  const opened = await openScriptProject(request);
  const { project, lockfile, client, rules } = opened;
  const root = project.root;
  const places = new Places<LockedPackage>(lockfile ?? { packages: [] });
  const packages: SurveyedPackage[] = [];
  const look = async (subject: ScriptSubject, events: readonly string[]): Promise<void> => {
    const scripts = await scriptsOf(subject, events, root, request.stateDir);
    if (scripts.length === 0) return;
    const resolve = (name: string): LockedPackage | undefined => places.resolve(subject.path, name);
    const switches = request.policy.values["scripts.exceptions"];
    const extras = scripts.flatMap(({ event, body }) => extrasFor({ subject, event, body: body ?? "", resolve }, switches, process.arch));
    const name = trustedName(subject);
    packages.push({ subject, decision: decide(rules, subject), scripts, extras, hint: name === undefined ? undefined : downloadHint(name) });
  };
  const subjects = new Map((lockfile === undefined ? [] : subjectsOf(lockfile)).map((subject) => [subject.path, subject]));
  for (const path of lockfile === undefined ? [] : inOrder(lockfile, new Set(subjects.keys()))) {
    const subject = subjects.get(path);
    if (subject !== undefined) await look(subject, eventsOf(subject.origin));
  }
  const own = await readScriptManifest(root);
  const { first, last } = projectEvents("ci", false, client?.version ?? "12.0.0");
  await look(projectSubject(own?.name === undefined || own.name === "" ? "this project" : own.name, own?.version), [...first, ...last]);
  return { root, approvals: opened.approvals, packages };
}

/** Where a package's files can be read; undefined when it is neither in the store nor on the disk. */
export function filesOf(subject: ScriptSubject, root: string, stateDir: string): PackageFiles {
  const digest = subject.integrity === undefined ? undefined : strongestDigest(subject.integrity);
  const store = new TarballStore(stateDir, "");
  return digest === undefined || store.find(digest) === undefined ? folderFiles(join(root, subject.path)) : tarballFiles(store.contentPath(digest), digest.hex);
}

/** By the verified tarball, else by the folder, else by what the lockfile says. */
async function scriptsOf(subject: ScriptSubject, events: readonly string[], root: string, stateDir: string): Promise<SurveyedPackage["scripts"]> {
  const digest = subject.integrity === undefined ? undefined : strongestDigest(subject.integrity);
  const summary = digest === undefined ? undefined : new TarballStore(stateDir, "").find(digest);
  // Most packages have none, and need not be opened for that.
  if (summary !== undefined && summary.installScripts.length === 0) return [];
  if (summary === undefined && subject.origin !== "own" && subject.locked?.hasInstallScript === false) return [];
  const found = await bodies(subject, events, root, stateDir);
  if (found !== undefined) return found;
  return (summary?.installScripts ?? ["install"]).map((event) => ({ event, body: undefined }));
}

async function bodies(subject: ScriptSubject, events: readonly string[], root: string, stateDir: string): Promise<readonly Script[] | undefined> {
  const files = filesOf(subject, root, stateDir);
  const manifest = await files.first(["package.json"], MAX_MANIFEST);
  if (manifest === undefined || manifest.cut) return undefined;
  const gyp = files.source === "folder" ? hasBindingGyp(join(root, subject.path)) : (await files.first(["binding.gyp"], 1)) !== undefined;
  return scriptsFor(parseScriptManifest(manifest.text), events, gyp);
}

const MAX_MANIFEST: number = 4 * 2 ** 20;

function npmOn(path: string): NpmClient | undefined {
  try {
    return locateNpm(path);
  } catch {
    // Reading approvals needs none.
    return undefined;
  }
}
