/** PCI DSS 4.0: requirements about software components and about audit logs. */
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
  LOGINS,
  RETENTION,
  ROLES,
  SCANS,
  SECRET_CARE,
  SECRET_USE,
  TRAIL_FAILURES,
} from "./kinds.ts";

export const pcidss: StandardTable = {
  name: "PCI DSS 4.0",
  controls: [
    {
      id: "6.3.1",
      title: "Vulnerabilities are identified from known sources, and ranked by risk",
      evidence: [...SCANS, ...ADVISORIES],
      notCovered: "software that is not a package; a ranking of your own (the advisory's severity is recorded)",
    },
    {
      id: "6.3.2",
      title: "An inventory of software components of others in your own software",
      evidence: [...INSTALLS, ...INTEGRITY],
      notCovered: "components that came by other ways than the guarded install; your own software",
    },
    {
      id: "6.3.3",
      title: "Known vulnerabilities are closed by updates in time",
      evidence: ["packages/PackageUpdate", ...SCANS],
      notCovered: "that an update was made within the time required; hosts and images",
    },
    {
      id: "6.5.1",
      title: "Changes to production follow a procedure with reason, impact and approval",
      evidence: [...CHANGES, ...INSTALLS],
      notCovered: "the procedure itself, tests, and changes of your own code",
    },
    {
      id: "7.2.1",
      title: "Access follows need and role",
      evidence: [...ROLES, ...DECISIONS],
      notCovered: "whether a role allows too much; access to cardholder data itself",
    },
    {
      id: "8.2.4",
      title: "Accounts and credentials are added, changed and deleted under control",
      evidence: [...ACCOUNTS, ...CREDENTIALS],
      notCovered: "approvals outside of Cofferdam; accounts of other systems",
    },
    {
      id: "8.6.3",
      title: "What authenticates programs is protected, and changed from time to time",
      evidence: [...SECRET_CARE, ...SECRET_USE],
      notCovered: "secrets that are not stored here; whether the time between changes fits the risk",
    },
    {
      id: "10.2.1",
      title: "Audit logs are on",
      evidence: ["*"],
      notCovered: "every system component but the guarded installs and jailed commands of this host",
    },
    {
      id: "10.2.1.3",
      title: "Access to audit logs is logged",
      evidence: [...EXPORTS],
      notCovered: "searches, plain exports, and reading the database file: who may read it is up to the host's permissions",
    },
    {
      id: "10.2.1.4",
      title: "Attempts to get in that failed are logged",
      evidence: [...LOGINS, "authorization/permission_denied"],
      notCovered: "attempts against hosts and other systems; floods are one event with a count",
    },
    {
      id: "10.2.1.5",
      title: "Changes of accounts and of what authenticates them are logged",
      evidence: [...ACCOUNTS, ...CREDENTIALS, ...ROLES],
      notCovered: "accounts of hosts and other systems",
    },
    {
      id: "10.2.1.6",
      title: "Starts, stops and pauses of audit logs are logged",
      evidence: [...TRAIL_FAILURES, "audit/key_rotated"],
      notCovered: "that Cofferdam was not used at all (days without events are listed as gaps)",
    },
    {
      id: "10.2.2",
      title: "Entries say who, what, when, from where, and with which outcome",
      evidence: ["*"],
      notCovered: "the person behind a build where the caller did not say it: events without a user are counted",
    },
    {
      id: "10.3.2",
      title: "Audit logs are protected from change",
      evidence: ["audit/*"],
      notCovered: "permissions on the host; a change shows against a checkpoint that was kept elsewhere, and only then",
    },
    {
      id: "10.3.4",
      title: "A change of audit logs is noticed",
      evidence: ["audit/*"],
      notCovered: "that somebody verifies regularly; the verification in this report is of one moment",
    },
    {
      id: "10.5.1",
      title: "Audit logs are kept for twelve months, three of them at hand",
      evidence: [...RETENTION],
      notCovered: "backups; a trail that began later than twelve months ago (first event: see the period)",
    },
    {
      id: "10.7.2",
      title: "Failures of security controls are noticed and answered",
      evidence: ["audit/disk_full", "audit/recovered", "audit/tail_recovered", ...ADVISORIES],
      notCovered: "controls other than Cofferdam's; that the alarm reached somebody",
    },
  ],
};
