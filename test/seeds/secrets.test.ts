/** The Secret Management samples of the API reference, as written but for imports, storage, and the job that asks. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AuditLogger, type SecretInjector, SecretManagementSystem } from "../../src/index.ts";
import { SqliteStore } from "../../src/store/index.ts";

test("storeSecret, retrieveSecret, injectSecrets, rotateSecret, on record in the real trail", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "cofferdam-seed-"));
  try {
    await using store = new SqliteStore({ path: join(stateDir, "cofferdam.db") });
    await using audit = new AuditLogger({ store, storage: { directory: stateDir } });
    await audit.initialize();
    const carried: string[] = [];
    const injector: SecretInjector = {
      inject: async (containerId, jobId, secrets) => void carried.push(containerId, jobId, ...secrets.map(({ name, secret }) => `${name}=${secret.text()}`)),
    };
    const jobs = { find: async (jobId: string) => ({ jobId, active: jobId === "job123", repository: "acme/web" }) };
    await using secretManager = new SecretManagementSystem({ backend: "file", stateDir, store, audit, jobs, injector, encryption: {}, rotation: {} });
    await secretManager.initialize();

    await secretManager.storeSecret("github-token", "ghp_xxxx", {
      owner: "user123",
      expiresAt: new Date("2099-12-31"),
      autoRotate: true,
    });
    await secretManager.storeSecret("npm-token", "npm_xxxx");

    const secret = await secretManager.retrieveSecret("github-token", {
      userId: "user123",
      jobId: "job123",
    });
    expect(secret.text()).toBe("ghp_xxxx");

    await secretManager.injectSecrets("container123", "job123", [
      { name: "GITHUB_TOKEN", secretId: "github-token" },
      { name: "NPM_TOKEN", secretId: "npm-token" },
    ]);
    expect(carried).toEqual(["container123", "job123", "GITHUB_TOKEN=ghp_xxxx", "NPM_TOKEN=npm_xxxx"]);

    // Of a secret without a provider the new value has to be given.
    const newVersion = await secretManager.rotateSecret("github-token", "ghp_yyyy");
    expect(newVersion).toBe(2);

    await expect(secretManager.retrieveSecret("github-token", { userId: "user123", jobId: "job999" })).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    const events = await audit.search({ category: "secrets", limit: 100 });
    const read = "SecretRetrieved";
    expect(events.map(({ action }) => action)).toEqual(["SecretStored", "SecretStored", read, read, read, "SecretRotated", "SecretRefused"]);
    expect(JSON.stringify(events)).not.toMatch(/ghp_|npm_xxxx/);
    expect(await audit.verifyIntegrity()).toMatchObject({ failed: 0 });
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
});
