/** A disk that fills while evidence is written: no folder, no part of one, and whole again once there is room. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AuditLogger, checkEvidence, parseVerifierKey } from "../../src/audit/index.ts";
import { requires } from "../world/needs.ts";

test("a full disk", async (context) => {
  requires(context, "root");
  const base = mkdtempSync(join(tmpdir(), "cofferdam-evidence-"));
  const small = join(base, "small");
  mkdirSync(small);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", small]);
  try {
    await using audit = new AuditLogger({ storage: { directory: join(base, "state") } });
    await audit.initialize();
    // Sizes at which another file of the folder is the one that does not fit any more.
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 40; i++) await audit.log({ category: "packages", action: "IntegrityCheck", result: "success", details: { x: "y".repeat(7000) } });
      const made = await audit.evidence(join(small, "evidence")).then(
        () => "made",
        (error: unknown) => error,
      );
      if (made === "made") rmSync(join(small, "evidence"), { recursive: true });
      else expect(made).toMatchObject({ code: "RESOURCE_EXHAUSTED", message: expect.stringContaining("the disk is full") });
      expect(readdirSync(small)).toEqual([]);
    }
    const tries = await audit.search({ action: "exported" });
    expect(new Set(tries.map(({ result }) => result))).toEqual(new Set(["success", "failure"]));
    execFileSync("mount", ["-o", "remount,size=64m", small]);
    await audit.evidence(join(small, "evidence"));
    expect(await checkEvidence(join(small, "evidence"), [parseVerifierKey(await audit.verifierKey())])).toMatchObject({ failed: 0 });
  } finally {
    execFileSync("umount", [small]);
    rmSync(base, { recursive: true });
  }
});
