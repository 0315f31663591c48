/** `cofferdam policy show|explain|check|trust|allow|learn`. What knows of jobs and networks is loaded where it is used: reading a policy needs none of it. */
import { existsSync, realpathSync } from "node:fs";
import { join, resolve } from "node:path";
import { CofferdamError, isoTime, nearestWord, systemClock } from "../../foundation/index.ts";
import { addAllowance, addEgress, KEYS, POLICY_FILE, policyPlaces, readPolicyFile, TrustStore } from "../../policy/index.ts";
import type { Command, CommandContext, CommandGroup } from "./command.ts";
import { recordedEdit } from "./policy-edit.ts";
import { openPolicy } from "./session.ts";

const show: Command = {
  name: "show",
  summary: "Prints the effective policy and where each value comes from.",
  usage: "",
  examples: ["cofferdam policy show", "cofferdam policy show --level high --json"],
  options: {},
  async run(context) {
    const policy = await openPolicy(context);
    if (context.globals.json) {
      context.out.json({
        schema: "cofferdam/policy-show/v1",
        digest: policy.digest,
        values: policy.values,
        origins: Object.fromEntries(policy.origins),
        notices: policy.notices,
        sources: policy.sources,
      });
      return 0;
    }
    for (const [key, value] of Object.entries(policy.values)) {
      const origin = [...policy.origins].find(([name]) => name === key)?.[1];
      context.out.data(`${key.padEnd(22)} ${JSON.stringify(value)}  (${origin?.source ?? `level ${policy.values.level}`})\n`);
    }
    for (const notice of policy.notices) context.out.note(notice);
    return 0;
  },
};

const explain: Command = {
  name: "explain",
  summary: "Tells the value of one key, who set it, and what it replaced.",
  usage: "KEY",
  examples: ["cofferdam policy explain level", "cofferdam policy explain packages.registries"],
  options: {},
  async run(context) {
    const policy = await openPolicy(context);
    const asked = context.args[0] ?? "";
    const found = Object.entries(policy.values).find(([key]) => key === asked);
    if (found === undefined) {
      const near = nearestWord(asked, Object.keys(policy.values));
      throw new CofferdamError("INVALID_ARGUMENT", `no key ${JSON.stringify(asked)}${near === undefined ? "" : ` (did you mean ${near}?)`}`, {
        hint: `keys: ${KEYS.map((rule) => rule.key).join(", ")}`,
      });
    }
    const origin = [...policy.origins].find(([key]) => key === asked)?.[1];
    const source = origin?.source ?? `level ${policy.values.level}`;
    const notices = policy.notices.filter((notice) => notice.includes(asked));
    if (context.globals.json)
      context.out.json({ schema: "cofferdam/policy-explain/v1", key: asked, value: found[1], source, over: origin?.over ?? [], notices });
    else {
      context.out.data(
        `${asked} = ${JSON.stringify(found[1])}\nset by ${source}${origin === undefined || origin.over.length === 0 ? "" : `, over ${origin.over.join(", ")}`}\n`,
      );
      for (const notice of notices) context.out.note(notice);
    }
    return 0;
  },
};

const check: Command = {
  name: "check",
  summary: "Validates a policy file; without a name, the nearest cofferdam.yaml. With --repo, holds its egress against jobs that ran.",
  usage: "[FILE] [--repo OWNER/NAME [--runs N]]",
  examples: ["cofferdam policy check", "cofferdam policy check ./cofferdam.yaml", "cofferdam policy check --repo acme/web --runs 50"],
  options: {
    repo: { type: "string", value: "OWNER/NAME", describe: "which of its last jobs would have been blocked (exit 3 when any)" },
    runs: { type: "string", value: "N", describe: "how many of them, 1 to 200 (default 20)" },
  },
  async run(context) {
    const path = policyPath(context);
    const file = await readPolicyFile(path);
    if (file === undefined) throw new CofferdamError("NOT_FOUND", `no policy file ${path}`);
    // Locks and trust show only against the other files.
    const policy = await openPolicy(context.args[0] === undefined ? context : { ...context, globals: { ...context.globals, config: path } });
    const dry = context.values["repo"] === undefined ? undefined : await import("./policy-dry-run.ts");
    const run = await dry?.dryRunOf(context, policy);
    if (context.globals.json)
      context.out.json({
        ...{ schema: "cofferdam/policy-check/v1", ok: true, file: path, sha256: file.sha256, notices: policy.notices },
        ...(run === undefined ? {} : { dryRun: run }),
      });
    else {
      context.out.note(`${path}: valid${policy.notices.map((notice) => `\n  ${notice}`).join("")}`);
      if (dry !== undefined && run !== undefined) context.out.data(dry.dryRunText(run));
    }
    return run === undefined || run.blocked.length === 0 ? 0 : 3;
  },
};

const trust: Command = {
  name: "trust",
  summary: "Lets a repository's policy file loosen, as long as its bytes stay the same. Read it first.",
  usage: "[FILE]",
  examples: ["cofferdam policy trust"],
  options: {},
  async run(context) {
    const path = policyPath(context);
    const file = await readPolicyFile(path);
    if (file === undefined) throw new CofferdamError("NOT_FOUND", `no policy file ${path}`);
    await new TrustStore(policyPlaces(context.cwd, context.env).userFolder).trust(path, file.sha256, isoTime(systemClock));
    if (context.globals.json) context.out.json({ schema: "cofferdam/policy-trust/v1", file: path, sha256: file.sha256 });
    else context.out.note(`trusted ${path} as it is now (sha256 ${file.sha256.slice(0, 16)}...); any edit ends it`);
    return 0;
  },
};

const allow: Command = {
  name: "allow",
  summary: "Accepts one finding, or a destination of jobs, with a reason, in the repository's cofferdam.yaml.",
  usage: "'RULE SUBJECT' | HOST:PORT --reason TEXT [--until YYYY-MM-DD]",
  examples: [
    "cofferdam policy allow 'missing-hash left-pad@1.3.0' --reason 'vendored, SEC-12' --until 2027-01-31",
    "cofferdam policy allow packages.example:443 --reason 'our mirror'",
  ],
  options: {
    reason: { type: "string", value: "TEXT", describe: "why; goes on record" },
    until: { type: "string", value: "DATE", describe: "last day it holds" },
  },
  async run(context) {
    const { args, values, cwd, env, out, globals } = context;
    const { reason, until } = values;
    if (args.length !== 1 || args[0] === undefined || typeof reason !== "string")
      throw new CofferdamError("INVALID_ARGUMENT", "one 'RULE SUBJECT' and --reason, please", { hint: "cofferdam policy allow --help" });
    const places = policyPlaces(cwd, env);
    const path = places.repository ?? join(realpathSync(cwd), POLICY_FILE);
    const destination = await isDestination(args[0]);
    if (destination && until !== undefined) throw new CofferdamError("INVALID_ARGUMENT", "--until: what jobs.egress lists has no last day");
    const [what] = args;
    const act = destination
      ? async () => await addEgress(path, [{ rule: what, why: reason }])
      : async () => await addAllowance(path, { what, reason, ...(typeof until === "string" ? { until } : {}) });
    const keeps = await recordedEdit(context, { command: "policy allow", path, changes: [`${what}: ${reason}`], userFolder: places.userFolder, act });
    if (globals.json)
      out.json({ schema: "cofferdam/policy-allow/v1", file: path, key: destination ? "jobs.egress" : "packages.allow", what: args[0], applies: keeps });
    else
      out.note(
        `${path}: ${args[0]} is ${destination ? "allowed to jobs" : "accepted"}${keeps ? "" : "; it applies once you trust the file: cofferdam policy trust"}`,
      );
    return 0;
  },
};

const learn: Command = {
  name: "learn",
  summary: "Proposes jobs.egress from what jobs reached: a diff of cofferdam.yaml to read, or with --write the change itself.",
  usage: "JOB... | --repo OWNER/NAME [--runs N] [--write]",
  examples: ["cofferdam policy learn job-8f2c", "cofferdam policy learn --repo acme/web --runs 20 | git apply", "cofferdam policy learn job-8f2c --write"],
  options: {
    repo: { type: "string", value: "OWNER/NAME", describe: "the last jobs of this one, together" },
    runs: { type: "string", value: "N", describe: "how many of them, 1 to 200 (default 20)" },
    write: { type: "boolean", describe: "change the file" },
  },
  run: async (context) => await (await import("./policy-learn.ts")).learnEgress(context),
};

export const policyCommands: CommandGroup = {
  name: "policy",
  summary: "What is enforced, where that was decided, and what is excepted.",
  commands: [show, explain, check, trust, allow, learn],
};

/** A place as `jobs.egress` names it; findings have a word without a dot or a colon first. */
async function isDestination(text: string): Promise<boolean> {
  const { isReadableRule, setNames } = await import("../../network/index.ts");
  return setNames().includes(text) || (/^[^ ]*[.:]/.test(text) && isReadableRule(text));
}

function policyPath({ args, cwd, env, globals }: CommandContext): string {
  const named = args[0] ?? globals.config;
  if (named !== undefined) {
    const path = resolve(cwd, named);
    return existsSync(path) ? realpathSync(path) : path;
  }
  const found = policyPlaces(cwd, env).repository;
  if (found === undefined) throw new CofferdamError("NOT_FOUND", "no cofferdam.yaml here or above", { hint: "one line makes one: version: 1" });
  return found;
}
