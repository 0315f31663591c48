/**
 * Roles that are always there: viewer < developer < manager < admin, and auditor beside them. They stand in the code and not
 * in the store, so that a newer version brings newer ones. The permissions are what the product itself asks for; roles of
 * yours may name any others.
 */
import type { Role } from "./contract.ts";

/** What the product asks for, by resource. */
export const PERMISSIONS: Readonly<Record<string, readonly string[]>> = {
  advisories: ["read", "update"],
  audit: ["read", "export", "verify", "checkpoint", "erase", "hold", "prune"],
  credentials: ["set"],
  images: ["read", "scan"],
  jobs: ["read", "create", "stop"],
  network: ["read", "edit"],
  packages: ["read", "scan", "install"],
  policy: ["read", "edit"],
  quota: ["read", "edit"],
  repositories: ["read", "update"],
  roles: ["read", "create", "update", "delete", "assign"],
  sandbox: ["run"],
  score: ["read"],
  scripts: ["read", "approve"],
  /** `read` is the value, `list` the names, `use` a job that gets it without anybody reading it, `admin` the keys of all. */
  secrets: ["list", "use", "read", "write", "rotate", "delete", "admin"],
  sessions: ["read", "revoke"],
  threats: ["read", "resolve"],
  tokens: ["read", "create", "revoke"],
  users: ["read", "create", "update", "delete"],
};

const seen = ["advisories", "images", "jobs", "network", "packages", "policy", "quota", "repositories", "score", "scripts", "threats"];
const reading: readonly string[] = [...seen.map((resource) => `${resource}:read`), "secrets:list"];

/** By id. */
export const BUILT_IN_ROLES: ReadonlyMap<string, Role> = new Map(
  [
    builtIn("viewer", "Sees jobs, scans, threats and settings; no values of secrets, no audit trail.", [], reading),
    builtIn(
      "developer",
      "Runs jobs, installs and scans.",
      ["viewer"],
      ["jobs:create", "jobs:stop", "packages:scan", "packages:install", "images:scan", "sandbox:run", "secrets:use"],
    ),
    builtIn(
      "manager",
      "Decides on scripts, threats, secrets and quotas of a project.",
      ["developer"],
      [
        ...["scripts:approve", "threats:resolve", "advisories:update", "quota:edit", "repositories:update", "audit:read", "users:read", "roles:read"],
        ...["read", "write", "rotate", "delete"].map((verb) => `secrets:${verb}`),
      ],
    ),
    builtIn("admin", "Everything.", ["manager"], ["*:*"]),
    builtIn(
      "auditor",
      "Reads and checks the trail and everything that is set; changes nothing.",
      ["viewer"],
      ["audit:read", "audit:export", "audit:verify", "users:read", "roles:read", "sessions:read", "tokens:read"],
    ),
  ].map((role) => [role.id, role]),
);

function builtIn(id: string, description: string, inherits: readonly string[], permissions: readonly string[]): Role {
  return { id, name: id, description, inherits, permissions, deny: [], builtIn: true, version: 1 };
}
