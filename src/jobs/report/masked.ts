/** Texts of a report that come from outside, without the values of the job's secrets. What we name ourselves stays as it is. */
import type { MaskList } from "../../secrets/index.ts";
import type { JobFacts } from "./schema.ts";

export function maskedFacts(facts: JobFacts, masks: MaskList): JobFacts {
  if (masks.size === 0) return facts;
  const text = (one: string): string => masks.text(one);
  const optional = (one: string | undefined): string | undefined => (one === undefined ? undefined : text(one));
  const { command, image, stoppedBy, threats, violations, refused, leftBehind, workspace, network } = facts;
  return {
    ...facts,
    command: command.map(text),
    image: { ...image, reference: text(image.reference) },
    stoppedBy: stoppedBy === undefined ? undefined : { ...stoppedBy, message: text(stoppedBy.message), hint: optional(stoppedBy.hint) },
    threats: threats.map((threat) => ({ ...threat, details: masks.object(threat.details), evidence: threat.evidence.map((one) => masks.json(one)) })),
    network: {
      ...network,
      connections: network.connections?.map((one) => ({
        ...one,
        domain: optional(one.domain),
        by: one.by === undefined ? undefined : { ...one.by, program: optional(one.by.program) },
        requests: one.requests?.map(text),
      })),
      dns: network.dns?.map((one) => ({ ...one, name: text(one.name) })),
    },
    violations: violations.map((one) => ({ ...one, message: text(one.message) })),
    refused: refused.map(text),
    leftBehind: leftBehind.map(({ what, why }) => ({ what: text(what), why: text(why) })),
    workspace: {
      ...workspace,
      path: optional(workspace.path),
      leftOut: workspace.leftOut.map(({ path, why }) => ({ path: text(path), why: text(why) })),
      planted: workspace.planted?.map(text),
    },
  };
}
