/** `cofferdam scripts list|show|approve|deny`: install scripts, what would happen to them, and who says so. */
import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { CofferdamError, type JsonObject, makeFolder, messageOf } from "../../foundation/index.ts";
import {
  type ApprovalChange,
  approvalKey,
  EXCEPTIONS,
  filesOf,
  labelOf,
  namedFiles,
  openScriptProject,
  type ScriptSubject,
  type SurveyedPackage,
  selectPackages,
  surveyScripts,
} from "../../packages/index.ts";
import {
  addApprovedScripts,
  type EditResult,
  type EffectivePolicy,
  POLICY_FILE,
  parseScriptKey,
  policyPlaces,
  removeApprovedScripts,
} from "../../policy/index.ts";
import type { Command, CommandContext, CommandGroup } from "./command.ts";
import { plain } from "./output.ts";
import { keepingTrust } from "./policy-edit.ts";
import { openPolicy, withState } from "./session.ts";

const list: Command = {
  name: "list",
  summary: "Lists packages with install scripts, what would happen to each, and why. Runs and fetches nothing.",
  usage: "",
  examples: ["cofferdam scripts list", "cofferdam scripts list --level high --json"],
  options: {},
  async run(context) {
    const policy = await openPolicy(context);
    const { cwd, env, globals, out } = context;
    const survey = await surveyScripts({ cwd, env, policy, stateDir: globals.state });
    const switches = policy.values["scripts.exceptions"];
    const exceptions = EXCEPTIONS.map(({ name, summary }) => ({ name, summary, state: switches[name] ?? "off" }));
    if (globals.json) {
      out.json({
        schema: "cofferdam/scripts-list/v1",
        level: policy.values.level,
        approvals: { source: survey.approvals.source ?? null, field: survey.approvals.field, ignored: survey.approvals.ignored },
        packages: survey.packages.map(documentOf),
        exceptions,
      });
      return 0;
    }
    for (const one of survey.packages) out.data(plain(`${linesOf(one).join("\n")}\n`));
    if (survey.packages.length === 0) out.note("no install scripts");
    for (const { entry, why } of survey.approvals.ignored) out.note(`npm passes over ${JSON.stringify(entry)} in its approvals: ${why}`);
    out.note(`exceptions (scripts.exceptions): ${exceptions.map(({ name, state }) => `${name} ${state}`).join(", ")}`);
    return 0;
  },
};

const show: Command = {
  name: "show",
  summary: "Prints a package's install scripts and the files of the package that they start, for reading before approving.",
  usage: "PKG[@V]",
  examples: ["cofferdam scripts show esbuild@0.25.2"],
  options: {},
  async run(context) {
    const policy = await openPolicy(context);
    const { args, cwd, env, globals, out } = context;
    const { lockfile } = await openScriptProject({ cwd, env, policy });
    const wanted = new Set(selectPackages(lockfile, args.slice(0, 1)).map((subject) => subject.path));
    if (args.length > 1) throw new CofferdamError("INVALID_ARGUMENT", "one package at a time, please", { hint: "cofferdam scripts show --help" });
    const survey = await surveyScripts({ cwd, env, policy, stateDir: globals.state });
    // Copies of one tarball are one text.
    const found = new Map(survey.packages.filter((one) => wanted.has(one.subject.path)).map((one) => [one.subject.integrity ?? one.subject.path, one]));
    const packages = await Promise.all([...found.values()].map((one) => shownPackage(one, survey.root, globals.state)));
    if (globals.json) out.json({ schema: "cofferdam/scripts-show/v1", packages });
    else if (packages.length === 0) out.note(`${args[0] ?? ""} has no install scripts`);
    else for (const one of packages) out.data(plain(pageOf(one)));
    return 0;
  },
};

interface ShownPackage {
  readonly package: string;
  readonly path: string;
  readonly source: string;
  readonly scripts: SurveyedPackage["scripts"];
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly cut: boolean; readonly text: string }[];
}

async function shownPackage({ subject, scripts }: SurveyedPackage, root: string, state: string): Promise<ShownPackage> {
  const files = filesOf(subject, root, state);
  const bodies = scripts.flatMap(({ event, body }) => (body === undefined ? [] : [{ event, body }]));
  return { package: labelOf(subject), path: subject.path, source: files.source, scripts, files: await namedFiles(bodies, files) };
}

function pageOf(one: ShownPackage): string {
  const from = one.source === "folder" ? `from the folder ${one.path}, which nobody verified just now` : "from the verified tarball";
  const unknown = one.scripts.some(({ body }) => body === undefined) ? ["(not here to read; it comes with: npm ci --ignore-scripts)"] : [];
  return `${[
    `${one.package}, ${from}`,
    ...one.scripts.map(({ event, body }) => `${event}: ${body ?? "unknown"}`),
    ...unknown,
    ...one.files.flatMap(({ path, bytes, cut, text }) => ["", `--- ${path} (${bytes} bytes${cut ? ", only the beginning" : ""})`, text.trimEnd()]),
    "",
  ].join("\n")}\n`;
}

const approve: Command = {
  name: "approve",
  summary: "Approves install scripts in npm's own file, package.json; at level high also with their hash in cofferdam.yaml.",
  usage: "PKG[@V]... [--user]",
  examples: [
    "cofferdam scripts approve esbuild@0.25.2",
    "cofferdam scripts approve sharp better-sqlite3",
    "cofferdam scripts approve esbuild --level high --user",
  ],
  options: { user: { type: "boolean", describe: "write the hash into your own cofferdam.yaml, not the repository's (level high)" } },
  run: (context) =>
    change(context, "approve", async ({ subjects, policy, file }) => {
      const keys = policy.values.level === "high" || policy.values.level === "paranoid" ? subjects.map(boundKey) : [];
      const changes = await file.approve(subjects.flatMap(({ locked }) => locked ?? []));
      const [place, userFolder] = policyFile(context);
      if (keys.length === 0) return { changes, policyFile: undefined, applies: true };
      makeFolder(dirname(place), 0o700);
      const edit = await addApprovedScripts(place, [...new Set(keys)]);
      return { changes, policyFile: place, applies: await applies(context, userFolder, place, edit) };
    }),
};

const deny: Command = {
  name: "deny",
  summary: "Denies a package's install scripts in every version, in npm's own file, and takes its hashes out of cofferdam.yaml.",
  usage: "PKG... [--user]",
  examples: ["cofferdam scripts deny core-js"],
  options: { user: { type: "boolean", describe: "take hashes out of your own cofferdam.yaml, not the repository's" } },
  run: (context) =>
    change(context, "deny", async ({ subjects, file }) => {
      const changes = await file.deny(subjects.flatMap(({ locked }) => locked ?? []));
      const [place, userFolder] = policyFile(context);
      const names = new Set(subjects.map(({ name }) => name));
      const edit = await removeApprovedScripts(place, (key) => names.has(parseScriptKey(key)?.name ?? ""));
      if (edit === undefined) return { changes, policyFile: undefined, applies: true };
      return { changes, policyFile: place, applies: await applies(context, userFolder, place, edit) };
    }),
};

interface Change {
  readonly changes: readonly ApprovalChange[];
  /** The policy file that was edited, too. */
  readonly policyFile: string | undefined;
  /** False: the policy file counts once it is trusted. */
  readonly applies: boolean;
}

interface ChangeParts {
  readonly subjects: readonly ScriptSubject[];
  readonly policy: EffectivePolicy;
  readonly file: Awaited<ReturnType<typeof openScriptProject>>["file"];
}

async function change(context: CommandContext, verb: "approve" | "deny", act: (parts: ChangeParts) => Promise<Change>): Promise<number> {
  const { args, cwd, env, globals, out } = context;
  const policy = await openPolicy(context);
  const { project, lockfile, file, approvals } = await openScriptProject({ cwd, env, policy });
  const subjects = selectPackages(lockfile, args);
  const packages = [...new Set(subjects.map(labelOf))];
  // The trail is opened first: what cannot be recorded is not done.
  const done = await withState(context, async ({ audit }) => {
    const record = async (result: "success" | "failure", facts: JsonObject): Promise<void> => {
      const details = { command: `scripts ${verb}`, packages: packages.slice(0, 100).map(short), level: policy.values.level, policy: policy.digest, ...facts };
      await audit.log({
        category: "packages",
        action: "ConfigurationChange",
        result,
        resourceType: "project",
        resourceId: project.root.slice(0, 1024),
        details,
      });
    };
    try {
      const result = await act({ subjects, policy, file });
      const changes = result.changes.slice(0, 100).map(({ entry, change: what }) => `${what} ${short(entry)}`);
      await record("success", { changes, policyFile: result.policyFile?.slice(0, 1024) ?? null });
      return result;
    } catch (error) {
      // Of two files one may be changed already.
      await record("failure", { message: messageOf(error).slice(0, 1000) });
      throw error;
    }
  });
  if (globals.json) {
    out.json({
      schema: `cofferdam/scripts-${verb}/v1`,
      file: "package.json",
      packages,
      changes: done.changes,
      policyFile: done.policyFile ?? null,
      applies: done.applies,
    });
    return 0;
  }
  const word = verb === "approve" ? "approved" : "denied";
  for (const { entry, change: what } of done.changes) out.note(`${what.padEnd(8)} ${entry} in allowScripts of package.json`);
  if (approvals.source === ".npmrc" && done.changes.length > 0)
    out.note("the allow-scripts list of your .npmrc counts no longer here: package.json has its own");
  if (done.policyFile !== undefined)
    out.note(`${done.policyFile}: ${word} with the hash${done.applies ? "" : "; it counts once you trust the file: cofferdam policy trust"}`);
  if (done.changes.length === 0 && done.policyFile === undefined) out.note(`${packages.join(", ")}: ${word} already`);
  return 0;
}

function short(text: string): string {
  return text.slice(0, 300);
}

function boundKey(subject: ScriptSubject): string {
  const key = approvalKey(subject);
  if (key !== undefined) return key;
  throw new CofferdamError("FAILED_PRECONDITION", `${labelOf(subject)} has no sha512 in the lockfile that an approval could be bound to`, {
    hint: "npm install --package-lock-only writes the registry's hash into the lockfile",
  });
}

/** The policy file to write, and the user's folder. */
function policyFile({ cwd, env, values }: CommandContext): readonly [path: string, userFolder: string] {
  const places = policyPlaces(cwd, env);
  return [values["user"] === true ? places.user : (places.repository ?? join(realpathSync(cwd), POLICY_FILE)), places.userFolder];
}

/** The user's own file counts as it is; a repository's when it is trusted. */
async function applies({ values }: CommandContext, userFolder: string, path: string, edit: EditResult): Promise<boolean> {
  return values["user"] === true || (await keepingTrust(userFolder, path, edit));
}

function documentOf({ subject, decision, scripts, extras, hint }: SurveyedPackage): object {
  return {
    package: labelOf(subject),
    path: subject.path,
    origin: subject.origin,
    scripts: scripts.map(({ event, body }) => ({ event, body: body ?? null })),
    run: decision.run,
    basis: decision.basis,
    why: decision.why,
    grant: { key: decision.grant.key ?? null, net: decision.grant.net, write: decision.grant.write },
    exceptions: decision.run === "jailed" ? extras.map(({ exception, write }) => ({ name: exception, write })) : [],
    ...(decision.review === undefined ? {} : { review: decision.review }),
    ...(hint === undefined ? {} : { downloads: hint }),
  };
}

function linesOf({ subject, decision, scripts, extras, hint }: SurveyedPackage): string[] {
  const { review, grant, run } = decision;
  const events = scripts.map(({ event }) => event).join(", ");
  const more = [...grant.net, ...grant.write.map((path) => `${path}/`)];
  const line = (text: string): string => `         ${text}`;
  return [
    `${(review === undefined ? run : "review").padEnd(8)} ${labelOf(subject)} ${events}: ${decision.why}`,
    ...(review === undefined ? [] : [line(`read: ${review.read}`), ...(review.allow === undefined ? [] : [line(`allow: ${review.allow}`)])]),
    ...(more.length === 0 ? [] : [line(`granted: ${more.join(", ")} (scripts.grants ${grant.key ?? ""})`)]),
    ...(run === "jailed"
      ? extras.map(({ exception }) => line(`exception ${exception}: ${EXCEPTIONS.find(({ name }) => name === exception)?.summary ?? ""}`))
      : []),
    ...(hint === undefined || grant.net.length > 0
      ? []
      : [line(`downloads from ${hint.hosts.join(", ")}${hint.skip === undefined ? "" : `; ${hint.skip} skips it`}`)]),
  ];
}

export const scriptsCommands: CommandGroup = {
  name: "scripts",
  summary: "Install scripts: what would run, why, and what you approve or deny.",
  commands: [list, show, approve, deny],
};
