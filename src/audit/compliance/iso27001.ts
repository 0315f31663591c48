/** ISO/IEC 27001:2022, controls of Annex A. */
import type { StandardTable } from "./controls.ts";
import {
  ACCOUNTS,
  ADVISORIES,
  CHANGES,
  CREDENTIALS,
  DECISIONS,
  EXPORTS,
  INSTALLS,
  INTEGRITY,
  JAILED,
  LOGINS,
  RETENTION,
  ROLES,
  SCANS,
  SECRET_CARE,
  SECRET_USE,
  TRAIL_FAILURES,
} from "./kinds.ts";

export const iso27001: StandardTable = {
  name: "ISO/IEC 27001:2022, Annex A",
  controls: [
    {
      id: "A.5.7",
      title: "Knowledge about threats is gathered",
      evidence: [...ADVISORIES],
      notCovered: "threats other than published advisories; its analysis by people",
    },
    {
      id: "A.5.15",
      title: "Access is given and refused by rules",
      evidence: [...DECISIONS, ...ROLES],
      notCovered: "the rules themselves; access to other systems and to places",
    },
    {
      id: "A.5.16",
      title: "Identities are managed from beginning to end",
      evidence: [...ACCOUNTS],
      notCovered: "identities of other systems; that somebody who left was taken out in time",
    },
    {
      id: "A.5.17",
      title: "What authenticates somebody is given and kept with care",
      evidence: [...CREDENTIALS, ...SECRET_CARE, ...SECRET_USE],
      notCovered: "how people keep their passwords; secrets that are not stored here",
    },
    {
      id: "A.5.18",
      title: "Rights are given, changed and taken away as the rules say",
      evidence: [...ROLES],
      notCovered: "approvals outside of Cofferdam; regular reviews",
    },
    {
      id: "A.5.21",
      title: "Security of the supply chain of software and services",
      evidence: [...INSTALLS, ...INTEGRITY, ...SCANS],
      notCovered: "agreements with suppliers; services; software that is not installed through the guarded install",
    },
    {
      id: "A.5.28",
      title: "Evidence is collected and kept so that it holds",
      evidence: [...EXPORTS, "audit/hold_placed", "audit/hold_released"],
      notCovered: "procedures and competence of those who collect it; evidence outside of this trail",
    },
    {
      id: "A.5.33",
      title: "Records are protected from loss and change",
      evidence: ["audit/*"],
      notCovered: "records outside of this trail; backups (a checkpoint proves a loss, it does not undo it)",
    },
    {
      id: "A.8.2",
      title: "Privileged rights are few, and watched",
      evidence: [...ROLES, "identity/set_up", "identity/account_recovered"],
      notCovered: "the owner of the state directory and root: they stand above roles",
    },
    {
      id: "A.8.5",
      title: "Authentication is secure",
      evidence: [...LOGINS],
      notCovered: "logins to hosts and other systems",
    },
    {
      id: "A.8.7",
      title: "Protection against malware",
      evidence: [...INTEGRITY, ...SCANS, ...JAILED],
      notCovered: "malware scanners on hosts; awareness of people; malware that no advisory names",
    },
    {
      id: "A.8.8",
      title: "Technical vulnerabilities are known and handled",
      evidence: [...SCANS, ...ADVISORIES],
      notCovered: "hosts, images and code of your own; deadlines for repairs",
    },
    {
      id: "A.8.9",
      title: "Configurations are set, recorded and watched",
      evidence: [...CHANGES],
      notCovered: "configurations other than Cofferdam's own policy",
    },
    {
      id: "A.8.10",
      title: "Information that is no longer needed is deleted",
      evidence: [...RETENTION, "audit/subject_erased"],
      notCovered: "information outside of this trail",
    },
    {
      id: "A.8.15",
      title: "Activities are logged, and logs protected",
      evidence: ["*"],
      notCovered: "logs of other systems; that somebody analyses this one",
    },
    {
      id: "A.8.16",
      title: "Systems are watched for behaviour out of the ordinary",
      evidence: [...JAILED, "packages/PackageExposed", ...TRAIL_FAILURES],
      notCovered: "production systems and networks",
    },
    {
      id: "A.8.19",
      title: "Installing software is controlled",
      evidence: [...INSTALLS, ...CHANGES],
      notCovered: "operating system packages and other ways of installing",
    },
    {
      id: "A.8.32",
      title: "Changes follow a procedure",
      evidence: [...CHANGES, ...INSTALLS],
      notCovered: "the procedure itself; changes of your own code and infrastructure",
    },
  ],
};
