/** Edits cofferdam.yaml as a person would: comments and layout stay. */
import { constants } from "node:fs";
import { lstat, open, rename, rm } from "node:fs/promises";
import { isSeq, parseDocument } from "yaml";
import { CofferdamError, newId, readBounded } from "../foundation/index.ts";
import { parsePolicy, policyText } from "./file.ts";
import type { Allowance } from "./schema.ts";

export interface EditResult {
  readonly sha256Before: string | undefined;
  readonly sha256After: string;
}

/** Adds an exception; makes the file when there is none. Throws INVALID_ARGUMENT when the result is not a valid policy. */
export async function addAllowance(path: string, allowance: Allowance): Promise<EditResult> {
  const bytes = await readBounded(path, { maxBytes: 256 * 1024, what: "policy file" });
  const written = bytes === undefined ? undefined : policyText(bytes, path);
  const before = written === undefined ? undefined : parsePolicy(written, path);
  const document = parseDocument(written ?? "version: 1\n");
  const place = ["packages", "allow"];
  if (!isSeq(document.getIn(place))) document.setIn(place, document.createNode([]));
  document.addIn(place, document.createNode(Object.fromEntries(Object.entries(allowance).filter(([, value]) => value !== undefined))));
  const text = document.toString({ lineWidth: 0 });
  const after = parsePolicy(text, path);
  await replaceFile(path, text);
  return { sha256Before: before?.sha256, sha256After: after.sha256 };
}

async function replaceFile(path: string, text: string): Promise<void> {
  const next = `${path}.${newId("new")}`;
  const known = await lstat(path).catch(() => undefined);
  const file = await open(next, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o644);
  try {
    // A file that was private stays so.
    if (known !== undefined) await file.chmod(known.mode & 0o777);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(next, path).catch(async (error: unknown) => {
    await rm(next, { force: true });
    throw new CofferdamError("FAILED_PRECONDITION", `cannot write ${path}`, { cause: error });
  });
}
