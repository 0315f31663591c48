/** Makes a folder and its parents, one by one. (Node's own recursive mkdir never returns for a path under /proc.) */
import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "./errors.ts";

/** @param mode of the folders that are made; existing ones keep theirs. Throws the system's error. */
export function makeFolder(path: string, mode: number): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  if (dirname(path) !== path) makeFolder(dirname(path), mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // Made by another process in between.
    if (errnoOf(error) !== "EEXIST" || statSync(path).isDirectory() === false) throw error;
  }
}
