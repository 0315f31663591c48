import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { vaultOf } from "./secret-vault.ts";

test("a platform's JWT: read anew at each login, through its link, whole or not at all", async () => {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-vault-words-"));
  try {
    const [file, link] = [join(folder, "token-1"), join(folder, "token")];
    symlinkSync("token-1", link);
    const { auth } = await vaultOf({ address: "https://vault.example:8200", auth: "jwt", role: "ci", "jwt-file": link });
    if (auth.method !== "jwt") throw new Error(auth.method);
    await expect(auth.jwt()).rejects.toMatchObject({ code: "NOT_FOUND" });
    writeFileSync(file, `${"x".repeat(16_383)}\n`);
    expect(await auth.jwt()).toBe("x".repeat(16_383));
    writeFileSync(file, `${"x".repeat(16_384)}\n`);
    await expect(auth.jwt()).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
