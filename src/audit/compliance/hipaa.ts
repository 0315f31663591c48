/** HIPAA Security Rule (45 CFR part 164, subpart C). */
import type { StandardTable } from "./controls.ts";
import {
  ACCOUNTS,
  ADVISORIES,
  CHANGES,
  CREDENTIALS,
  DECISIONS,
  EXPORTS,
  INTEGRITY,
  JAILED,
  LOGINS,
  RETENTION,
  ROLES,
  SCANS,
  THREATS,
  TRAIL_FAILURES,
} from "./kinds.ts";

export const hipaa: StandardTable = {
  name: "HIPAA Security Rule, 45 CFR 164 subpart C",
  controls: [
    {
      id: "164.308(a)(1)(ii)(A)",
      title: "Risks to health data are analysed",
      evidence: [...SCANS, ...ADVISORIES],
      notCovered: "the analysis itself: known vulnerabilities of packages are one input to it",
    },
    {
      id: "164.308(a)(1)(ii)(B)",
      title: "Risks are brought down to a reasonable level",
      evidence: [...CHANGES, "packages/PackageUpdate", ...JAILED],
      notCovered: "measures outside of installs and jailed commands",
    },
    {
      id: "164.308(a)(1)(ii)(D)",
      title: "Records of activity are reviewed",
      evidence: [...EXPORTS],
      notCovered: "that somebody reviewed what was exported; systems that hold health data",
    },
    {
      id: "164.308(a)(5)(ii)(B)",
      title: "Malicious software is guarded against, found and reported",
      evidence: [...INTEGRITY, ...SCANS, ...JAILED],
      notCovered: "hosts and workstations; malware that no advisory names",
    },
    {
      id: "164.308(a)(5)(ii)(C)",
      title: "Logins are watched, and differences reported",
      evidence: [...LOGINS],
      notCovered: "logins to systems that hold health data; that somebody looks",
    },
    {
      id: "164.308(a)(6)(ii)",
      title: "Security incidents are answered and documented",
      evidence: ["packages/PackageExposed", ...THREATS, "audit/recovered", "audit/hold_placed"],
      notCovered: "the answer of the organisation; incidents outside of this trail",
    },
    {
      id: "164.312(a)(1)",
      title: "Access is for those who were given the right",
      evidence: [...ROLES, ...DECISIONS, ...ACCOUNTS],
      notCovered: "systems that hold health data",
    },
    {
      id: "164.312(b)",
      title: "Activity in systems is recorded and can be examined",
      evidence: ["*"],
      notCovered: "systems that hold or use health data: this trail is about builds and installs",
    },
    {
      id: "164.312(d)",
      title: "Whoever asks for access is who they say",
      evidence: [...LOGINS, ...CREDENTIALS],
      notCovered: "systems that hold health data",
    },
    {
      id: "164.316(b)(2)(i)",
      title: "Documentation is kept for six years",
      evidence: [...RETENTION, ...TRAIL_FAILURES],
      notCovered: "documentation outside of this trail; backups",
    },
  ],
};
