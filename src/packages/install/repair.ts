/** Mends what a killed run left: half-written manifests come back from its copies, a half-written tree goes. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Project } from "./project.ts";
import type { Interrupted } from "./project-lock.ts";

const MANIFESTS = ["package.json", "package-lock.json", "npm-shrinkwrap.json"] as const;

/** Copies the manifests that the client may write, so that they can be put back. */
export function keepManifests(root: string, runPath: string): void {
  mkdirSync(join(runPath, "before"), { recursive: true, mode: 0o700 });
  for (const name of MANIFESTS) if (existsSync(join(root, name))) copyFileSync(join(root, name), join(runPath, "before", name));
}

/** Puts the manifests back as they were before the client ran; one that the client made goes. */
export function restoreManifests(root: string, runPath: string): void {
  for (const name of MANIFESTS) {
    const kept = join(runPath, "before", name);
    if (existsSync(kept)) copyFileSync(kept, join(root, name));
    else rmSync(join(root, name), { force: true });
  }
}

/** @returns what was done, for the report; undefined when nothing had to be. */
export function repairInterrupted(root: string, stateDir: string, interrupted: Interrupted | undefined): string | undefined {
  if (interrupted === undefined || interrupted.phase === "judge" || interrupted.phase === "fetch") return undefined;
  const runPath = join(stateDir, "runs", interrupted.run);
  const torn = MANIFESTS.filter((name) => existsSync(join(runPath, "before", name)) && !isJson(join(root, name)));
  for (const name of torn) copyFileSync(join(runPath, "before", name), join(root, name));
  rmSync(join(root, "node_modules"), { recursive: true, force: true });
  return `an earlier run was killed while node_modules was written: it is rebuilt${torn.length === 0 ? "" : `, ${torn.join(" and ")} restored`}`;
}

/** After a client that was ended in the middle: the half-written tree goes, the manifests are as they were. */
export function clearHalfWritten(root: string, runPath: string): string {
  rmSync(join(root, "node_modules"), { recursive: true, force: true });
  restoreManifests(root, runPath);
  return "node_modules was half-written: it is removed, package.json and lockfile are as they were";
}

/** Moves a tree that is not what was judged out of the way, so that nothing runs it. @returns where it is now. */
export function setAside(project: Project): string | undefined {
  const tree = join(project.root, "node_modules");
  if (!existsSync(tree)) return undefined;
  const aside = join(project.root, "node_modules.refused");
  rmSync(aside, { recursive: true, force: true });
  renameSync(tree, aside);
  return aside;
}

function isJson(path: string): boolean {
  try {
    JSON.parse(readFileSync(path, "utf8"));
    return true;
  } catch {
    return false;
  }
}
