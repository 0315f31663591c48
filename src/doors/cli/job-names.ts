/**
 * What a CI calls the job that we run in: from options, else from the variables by which it says so. They name a baseline, and
 * nothing is allowed because of them: whoever sets a variable chooses what a job is compared with.
 */
import { ciNameSchema } from "../../jobs/index.ts";
import type { CommandContext, OptionSpec } from "./command.ts";
import type { Output } from "./output.ts";

export const NAME_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  workflow: { type: "string", value: "NAME", describe: "of which workflow it is, for its baseline (default: the CI's own variables)" },
  job: { type: "string", value: "NAME", describe: "what the CI calls it, for its baseline (default: the CI's own variables, else the command)" },
};

export interface JobNames {
  readonly workflow?: string | undefined;
  readonly job?: string | undefined;
  /** Options or variables that they are from. */
  readonly namesFrom?: string | undefined;
}

/** Each by a variable that is there in its jobs alone. Gitea and Forgejo set GitHub's. */
const SYSTEMS: readonly { readonly mark: string; readonly workflow?: string; readonly job: string }[] = [
  { mark: "GITHUB_ACTIONS", workflow: "GITHUB_WORKFLOW", job: "GITHUB_JOB" },
  { mark: "GITLAB_CI", workflow: "CI_PIPELINE_NAME", job: "CI_JOB_NAME" },
  { mark: "BUILDKITE", workflow: "BUILDKITE_PIPELINE_SLUG", job: "BUILDKITE_STEP_KEY" },
  { mark: "TF_BUILD", workflow: "BUILD_DEFINITIONNAME", job: "SYSTEM_JOBNAME" },
  { mark: "CIRCLECI", job: "CIRCLE_JOB" },
  { mark: "JENKINS_URL", job: "JOB_NAME" },
];

/** An option is taken as it is: the job's schema refuses what is no name. A variable that holds none is passed over, and said to be. */
export function jobNames({ values, env, out }: Pick<CommandContext, "values" | "env"> & { readonly out: Pick<Output, "note"> }): JobNames {
  const system = SYSTEMS.find(({ mark }) => (env[mark] ?? "") !== "");
  const found = (["workflow", "job"] as const).flatMap((what): { what: "workflow" | "job"; name: string; from: string }[] => {
    const option = values[what];
    if (typeof option === "string") return [{ what, name: option, from: `--${what}` }];
    const from = system?.[what];
    const name = from === undefined ? undefined : env[from];
    if (from === undefined || name === undefined || name === "") return [];
    if (ciNameSchema.safeParse(name).success) return [{ what, name, from }];
    out.note(`cofferdam: ${from} is passed over: it holds no name of a ${what}`);
    return [];
  });
  if (found.length === 0) return {};
  return { ...Object.fromEntries(found.map(({ what, name }) => [what, name])), namesFrom: found.map(({ from }) => from).join(", ") };
}
