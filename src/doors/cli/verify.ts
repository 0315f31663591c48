/** `cofferdam verify FILE --integrity SRI|HEX`. */
import { resolve } from "node:path";
import { CofferdamError, formatBytes } from "../../foundation/index.ts";
import { inspectFile, integrityFailure, verifyFile } from "../../integrity/index.ts";
import { presetOf } from "../../policy/index.ts";
import type { Command } from "./command.ts";

export const verifyCommand: Command = {
  name: "verify",
  summary: "Compares a file with an integrity value: Subresource Integrity, or SHA-512 in hex.",
  usage: "FILE --integrity SRI|HEX",
  examples: [
    "cofferdam verify left-pad-1.3.0.tgz --integrity sha512-XI5MPzVNApjAyhQzphX8BkmKsKUxD4LdyK24iZeQGinBN9yTQT3bFlCBy/aVx2HrNcqQGsdot8ghrjyrvMCoEA==",
    "cofferdam verify file.bin --integrity HEX --json",
  ],
  options: {
    integrity: { type: "string", value: "SRI|HEX", describe: "what the file should be" },
    structure: { type: "boolean", describe: "also check that it is a sound package tarball" },
  },
  async run({ args, values, globals, out, cwd, signal }) {
    const [file, ...more] = args;
    const { integrity } = values;
    if (file === undefined || more.length > 0 || typeof integrity !== "string")
      throw new CofferdamError("INVALID_ARGUMENT", "one file and --integrity, please", { hint: "cofferdam verify --help" });
    const result = await verifyFile(resolve(cwd, file), integrity, { signal });
    const limits = presetOf("medium");
    const manifest =
      result.ok && values["structure"] === true
        ? await inspectFile(resolve(cwd, file), { maxUnpackedBytes: limits["limits.unpacked"], maxEntries: limits["limits.entries"] }, signal)
        : undefined;
    const failure = result.ok ? undefined : integrityFailure(file, result);
    if (globals.json) {
      const { ok, algorithm, expected, actual, bytes, weak } = result;
      out.json({
        schema: "cofferdam/verify/v1",
        ok,
        algorithm,
        expected,
        actual,
        bytes,
        weak,
        ...(failure === undefined ? {} : { code: failure.code }),
        ...(manifest === undefined ? {} : { files: manifest.files.length, package: `${manifest.package.name}@${manifest.package.version}` }),
      });
      return failure?.exitCode ?? 0;
    }
    if (failure !== undefined) {
      out.fault(`cofferdam: ${failure.message}\n  expected ${result.expected}\n  actual   ${result.actual}\n  ${failure.hint ?? ""}\n  ${failure.code}`);
      return failure.exitCode;
    }
    const structure = manifest === undefined ? "" : `; ${manifest.package.name}@${manifest.package.version}, ${manifest.files.length} files, soundly built`;
    out.note(`${file}: ${result.algorithm} matches (${formatBytes(result.bytes)})${structure}${result.weak ? "; sha1 can be forged, ask for a sha512" : ""}`);
    return 0;
  },
};
