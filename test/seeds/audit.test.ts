/** The Audit Logger samples of the API reference, as written but for imports and storage. (`compliance` is not built yet.) */
import { expect, test } from "vitest";
import { AuditLogger } from "../../src/index.ts";

test("log, search, export, verifyIntegrity", async () => {
  const auditLogger = new AuditLogger({});
  await auditLogger.initialize();

  await auditLogger.log({
    category: "authorization",
    action: "permission_granted",
    userId: "user123",
    resourceType: "workflow",
    resourceId: "workflow456",
    result: "success",
    details: {
      /* additional details */
    },
  });

  const events = await auditLogger.search({
    startDate: new Date("2024-03-01"),
    endDate: new Date("2099-03-31"),
    category: "authorization",
    userId: "user123",
    limit: 100,
  });
  expect(events).toHaveLength(1);
  expect(events[0]).toMatchObject({
    id: expect.stringMatching(/^evt_/),
    timestamp: expect.stringMatching(/^\d{4}-\d{2}-\d{2}T.*Z$/),
    category: "authorization",
    integrity: { hash: expect.stringMatching(/^sha256:/), algorithm: "sha256", previousHash: expect.stringMatching(/^sha256:/) },
  });

  const report = await auditLogger.export(
    {
      startDate: new Date("2024-01-01"),
      endDate: new Date("2099-03-31"),
    },
    "json",
  );
  expect(JSON.parse(report)).toHaveLength(1);

  const results = await auditLogger.verifyIntegrity(new Date("2024-03-01"), new Date("2099-03-31"));
  expect(results).toMatchObject({ verified: 1, failed: 0, errors: [] });
  await auditLogger.close();
});
