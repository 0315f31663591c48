/** GDPR, Regulation (EU) 2016/679: the articles about security, accountability and erasure. */
import type { StandardTable } from "./controls.ts";
import { ADVISORIES, CHANGES, ERASURES, EXPORTS, INTEGRITY, JAILED, RETENTION, SCANS } from "./kinds.ts";

export const gdpr: StandardTable = {
  name: "GDPR, Regulation (EU) 2016/679",
  controls: [
    {
      id: "Art. 5(1)(e)",
      title: "Personal data is kept no longer than needed",
      evidence: [...RETENTION, ...ERASURES, "monitor/EvidenceRemoved"],
      notCovered: "personal data outside of this trail",
    },
    {
      id: "Art. 5(2)",
      title: "Compliance can be shown",
      evidence: ["audit/*"],
      notCovered: "purposes, legal bases and records of processing",
    },
    {
      id: "Art. 17",
      title: "Personal data is erased on request",
      evidence: [...ERASURES],
      notCovered: "data outside of this trail; names in fields that are not recorded as personal data",
    },
    {
      id: "Art. 25",
      title: "Protection by design and by default",
      evidence: [...JAILED, ...CHANGES],
      notCovered: "the design of your own systems",
    },
    {
      id: "Art. 32(1)(b)",
      title: "Systems stay confidential, intact, available and resilient",
      evidence: [...INTEGRITY, ...SCANS, ...JAILED],
      notCovered: "production systems; availability",
    },
    {
      id: "Art. 32(1)(d)",
      title: "Whether the measures work is tested regularly",
      evidence: [...SCANS, ...ADVISORIES, ...EXPORTS],
      notCovered: "tests of measures other than Cofferdam's",
    },
    {
      id: "Art. 33(5)",
      title: "Breaches are documented",
      evidence: ["packages/PackageExposed", "audit/hold_placed"],
      notCovered: "whether an event is a breach of personal data: nobody decides that here",
    },
  ],
};
