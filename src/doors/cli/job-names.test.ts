import { expect, test } from "vitest";
import { jobNames } from "./job-names.ts";

function named(
  env: Readonly<Record<string, string>>,
  values: Readonly<Record<string, string>> = {},
): { readonly names: object; readonly said: readonly string[] } {
  const said: string[] = [];
  const out = { note: (text: string): void => void said.push(text) };
  return { names: jobNames({ values, env, out }), said };
}

const GITHUB = { GITHUB_ACTIONS: "true", GITHUB_WORKFLOW: "CI", GITHUB_JOB: "test" };

test("a CI's own variables count in its jobs alone", () => {
  expect(named(GITHUB).names).toEqual({ workflow: "CI", job: "test", namesFrom: "GITHUB_WORKFLOW, GITHUB_JOB" });
  expect(named({ GITLAB_CI: "true", CI_JOB_NAME: "unit" }).names).toEqual({ job: "unit", namesFrom: "CI_JOB_NAME" });
  expect(named({ GITHUB_WORKFLOW: "CI", GITHUB_JOB: "test", JOB_NAME: "x" }).names).toEqual({});
  expect(named({ ...GITHUB, GITHUB_WORKFLOW: "" }).names).toEqual({ job: "test", namesFrom: "GITHUB_JOB" });
});

test("an option comes before a variable; each says where it is from", () => {
  expect(named(GITHUB, { job: "mine" }).names).toEqual({ workflow: "CI", job: "mine", namesFrom: "GITHUB_WORKFLOW, --job" });
  expect(named({}, { workflow: "w" }).names).toEqual({ workflow: "w", namesFrom: "--workflow" });
});

test.each([["a\u001b[31m"], ["a\nb"], ["x".repeat(257)], ["\ud800"]])("a variable that holds no name is passed over, and said to be (%j)", (name) => {
  const { names, said } = named({ ...GITHUB, GITHUB_JOB: name });
  expect(names).toEqual({ workflow: "CI", namesFrom: "GITHUB_WORKFLOW" });
  expect(said).toEqual(["cofferdam: GITHUB_JOB is passed over: it holds no name of a job"]);
});
