/** SOC 2: the common criteria of the Trust Services Criteria that a trail of installs and jailed commands speaks to. */
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
  NETWORKS,
  ROLES,
  SCANS,
  SECRET_CARE,
  SECRET_USE,
  THREATS,
  TRAIL_FAILURES,
} from "./kinds.ts";

export const soc2: StandardTable = {
  name: "SOC 2, Trust Services Criteria 2017 (points of focus of 2022)",
  controls: [
    {
      id: "CC6.1",
      title: "Access to what has to be protected is limited by technical means",
      evidence: [...JAILED, ...LOGINS, ...DECISIONS, ...SECRET_USE, ...SECRET_CARE],
      notCovered: "accounts of other systems; everything that does not run in a jail and does not ask Cofferdam",
    },
    {
      id: "CC6.2",
      title: "People and programs are registered before they get in, and lose it when it ends",
      evidence: [...ACCOUNTS, ...CREDENTIALS],
      notCovered: "who approved it outside of Cofferdam; that accounts of those who left were taken out in time",
    },
    {
      id: "CC6.3",
      title: "Rights follow roles, are given by those who may, and no more than needed",
      evidence: [...ROLES, ...DECISIONS],
      notCovered: "regular reviews of rights; whether a role allows too much",
    },
    {
      id: "CC6.6",
      title: "Protection against what comes from outside of the system's boundaries",
      evidence: [...JAILED, ...NETWORKS, ...INTEGRITY],
      notCovered: "firewalls and services of the hosts; code that runs outside of a jail",
    },
    {
      id: "CC6.7",
      title: "Information leaves only to where, and by whom, it is meant to",
      evidence: [...JAILED],
      notCovered: "encryption in transit; data that a granted destination receives; removable media",
    },
    {
      id: "CC6.8",
      title: "Unauthorized or malicious software is kept out, or found and acted upon",
      evidence: [...INSTALLS, ...INTEGRITY, ...SCANS, ...JAILED],
      notCovered: "software that is installed by other ways than the guarded install; malware that no advisory names and no rule refuses",
    },
    {
      id: "CC7.1",
      title: "Changes that open weaknesses, and newly known weaknesses, are found",
      evidence: [...SCANS, ...ADVISORIES, ...CHANGES],
      notCovered: "hosts, images and code of your own; that somebody reads and repairs what was found",
    },
    {
      id: "CC7.2",
      title: "Operation is watched for signs of attacks and errors",
      evidence: [...JAILED, "packages/PackageExposed", ...THREATS, ...TRAIL_FAILURES],
      notCovered: "production systems and networks; that alarms reach somebody",
    },
    {
      id: "CC7.3",
      title: "Security events are judged for what they mean",
      evidence: [...CHANGES, "packages/PackageExposed"],
      notCovered: "the judgement itself: the trail has decisions and their stated reasons, not how good they are",
    },
    {
      id: "CC7.4",
      title: "Incidents are answered",
      evidence: [...INSTALLS, ...THREATS, ...EXPORTS],
      notCovered: "incident response as an organisation does it; the trail shows what was stopped, and what was exported for whom",
    },
    {
      id: "CC7.5",
      title: "Recovery from incidents",
      evidence: ["audit/recovered", "audit/tail_recovered", "audit/key_replaced"],
      notCovered: "everything but the recovery of the trail itself",
    },
    {
      id: "CC8.1",
      title: "Changes are authorized, tested and approved before they are made",
      evidence: [...INSTALLS, ...CHANGES],
      notCovered: "changes of your own code and infrastructure; reviews (the policy's digest names the rules, not who reviewed them)",
    },
  ],
};
