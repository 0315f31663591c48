/** The RBAC System samples of the API reference, as written but for imports, storage and the time of day. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AuditLogger, RBACSystem } from "../../src/index.ts";

test("createUser, createRole, assignRole, checkPermission, createSession, on record in the real trail", async () => {
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-seed-"));
  try {
    await using auditLogger = new AuditLogger({ storage: { directory } });
    await auditLogger.initialize();
    const clock = { now: () => Date.parse("2024-03-20T10:30:00Z"), monotonic: () => performance.now() };
    await using rbac = new RBACSystem(auditLogger, {
      denyByDefault: true,
      requireAuthentication: true,
      sessionTimeout: 3_600_000,
      cacheEnabled: true,
      clock,
      storage: { directory },
    });
    await rbac.initialize();

    const user = await rbac.createUser({
      username: "john.doe",
      email: "john@example.com",
      name: "John Doe",
    });
    expect(user).toMatchObject({ username: "john.doe", email: "john@example.com", name: "John Doe" });

    const role = await rbac.createRole({
      name: "CI/CD Manager",
      permissions: ["workflows:*", "runners:read"],
      constraints: {
        repositories: "owned",
        timeRestriction: {
          startTime: "09:00",
          endTime: "18:00",
        },
      },
    });
    expect(role).toMatchObject({ id: "ci-cd-manager", name: "CI/CD Manager" });

    await rbac.createUser({ id: "user123", username: "user123" });
    await rbac.assignRole("user123", "manager");
    await rbac.assignRole("user123", role.id);

    // Whose repository it is, the server knows; what a caller says of it counts for nothing by itself.
    const asked = { repository: "org/repo", isOwner: true };
    expect(await rbac.checkPermission("user123", "workflows:execute", asked)).toBe(false);
    await rbac.setRepository("org/repo", { owners: ["user123"], assigned: [] });
    const allowed = await rbac.checkPermission("user123", "workflows:execute", {
      repository: "org/repo",
      isOwner: true,
    });
    expect(allowed).toBe(true);
    expect(await rbac.checkPermission("user123", "workflows:execute", { repository: "org/other" })).toBe(false);
    expect(await rbac.checkPermission(user.id, "workflows:execute", asked)).toBe(false);

    // A user id alone opens no session: somebody has to have authenticated the user, and says so.
    const metadata = {
      ipAddress: "10.0.1.100",
      userAgent: "Mozilla/5.0...",
    };
    await expect(rbac.createSession("user123", metadata)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    const session = await rbac.createSession("user123", { ...metadata, vouchedBy: "the company's portal" });
    expect(await rbac.verifySession(session.id, metadata)).toMatchObject({ userId: "user123", mfa: false });
    expect(await rbac.checkPermission("user123", "jobs:create", { ...metadata, sessionId: session.id })).toBe(true);
    expect(await rbac.checkPermission(user.id, "jobs:read", { ...metadata, sessionId: session.id })).toBe(false);

    const actions = (await auditLogger.search({ limit: 100 })).map(({ action }) => action);
    expect(actions).toEqual(
      expect.arrayContaining(["user_created", "role_created", "role_assigned", "permission_denied", "permission_granted", "session_created"]),
    );
    expect(await auditLogger.verifyIntegrity()).toMatchObject({ failed: 0 });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
