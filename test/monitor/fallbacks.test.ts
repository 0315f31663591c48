/**
 * The same acts where the kernel takes no program: what its audit shows of them, and what the process connector does. A sample of them; all
 * in `./dev test --full`.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { has, requires } from "../world/needs.ts";
import { OWN_RULE } from "./actions/expected.ts";
import { ACTIONS } from "./actions/index.ts";
import { ActsUnderWatch } from "./actions/under-watch.ts";

const FULL = process.env["COFFERDAM_TEST_FULL"] === "1";

/** What audit does not show: names below /proc, files that are new, environments, kinds of sockets, streams, and names that are not plain. */
const UNSEEN_BY_AUDIT: ReadonlySet<string> = new Set([
  "DirectoryTraversalMonitoredFileRead",
  "ReadEnvironmentVariableFromProcFiles",
  "DropAndExecuteNewBinaryInContainer",
  "ContainerDriftDetectedOpenCreate",
  "ProgramRunWithDisallowedHttpProxyEnv",
  "PotentialLocalPrivilegeEscalationViaEnvironmentVariablesMisuse",
  "InterpretedProcsInboundNetworkActivity",
  "UnexpectedUDPTraffic",
  "UnexpectedK8sNodePortConnection",
  "RedirectStdoutStdinToNetworkConnectionInContainer",
]);
/** By the streams of a program, which are looked up while it runs. */
const SOMETIMES = "SystemUserInteractive";
const seenByAudit = ACTIONS.filter(({ name }) => !UNSEEN_BY_AUDIT.has(name) && name !== SOMETIMES);

describe("acts, by audit", { concurrent: true, timeout: 60_000 }, () => {
  let acts: ActsUnderWatch | undefined;
  beforeAll(async () => {
    if (has("docker") && has("audit")) acts = await ActsUnderWatch.start(["audit"]);
  });
  afterAll(async () => {
    await acts?.[Symbol.asyncDispose]();
  });
  beforeEach((context) => {
    requires(context, "docker");
    requires(context, "audit");
  });

  for (const action of FULL ? seenByAudit : seenByAudit.filter((_, place) => place % 5 === 0)) {
    test(action.name, async () => {
      const { rules } = (await acts?.see(action, action.script)) ?? { rules: [] };
      expect(rules.map(({ id }) => id)).toContain(OWN_RULE[action.name]);
    });
  }
});
