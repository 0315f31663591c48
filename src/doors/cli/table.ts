/** Every command by name. Each is loaded when it is used, so that a bare `--version` starts fast. */
import type { TableEntry } from "./command.ts";
import { keepHeapSmall } from "./small-heap.ts";

export const COMMANDS: readonly TableEntry[] = [
  { name: "install", summary: "guarded install in this directory: install -- npm ci", load: async () => (await import("./install.ts")).installCommand },
  { name: "npm", summary: "shorthand of install -- npm ...", load: async () => (await import("./install.ts")).npmCommand },
  { name: "scan", summary: "known vulnerabilities of a lockfile, a tree or a package", load: async () => (await import("./scan.ts")).scanCommand },
  { name: "db", summary: "advisories: update, import, export, status", load: async () => (await import("./db.ts")).dbCommands },
  { name: "where", summary: "which installs had a package, and what it did there", load: async () => (await import("./where.ts")).whereCommand },
  {
    name: "job",
    summary: "run a command in a guarded container: job run --image IMG --repo O/R -- make test",
    load: async () => (await import("./job.ts")).jobCommands,
  },
  {
    name: "secret",
    summary: "secrets for jobs: put, get, rotate, list, delete, import",
    load: async () => (await import("./secret.ts")).secretCommands,
  },
  { name: "sandbox", summary: "run any command in the jail: sandbox run -- npm test", load: async () => (await import("./sandbox.ts")).sandboxCommands },
  { name: "scripts", summary: "install scripts: list, show, approve or deny", load: async () => (await import("./scripts.ts")).scriptsCommands },
  {
    name: "shell-init",
    summary: 'plain npm runs its scripts in the jail: eval "$(cofferdam shell-init)"',
    load: async () => (await import("./shell-init.ts")).shellInitCommand,
  },
  { name: "verify", summary: "is a file what its integrity value says", load: async () => (await import("./verify.ts")).verifyCommand },
  { name: "audit", summary: "search, export or verify the audit trail", load: async () => (await import("./audit.ts")).auditCommands },
  { name: "quota", summary: "how much of this host jobs get, have and use", load: async () => (await import("./quota.ts")).quotaCommands },
  { name: "threats", summary: "what was seen in jobs: list, show, resolve", load: async () => (await import("./threats.ts")).threatCommands },
  { name: "evidence", summary: "what was kept of stopped containers: list, show, prune", load: async () => (await import("./evidence.ts")).evidenceCommands },
  {
    name: "monitor",
    summary: "what a job's processes do: watch, check, rules, test",
    load: async () => {
      keepHeapSmall();
      return (await import("./monitor.ts")).monitorCommands;
    },
  },
  { name: "rbac", summary: "who may do what: users, roles, check, explain, tokens, sessions", load: async () => (await import("./rbac.ts")).rbacCommands },
  { name: "policy", summary: "show, explain, check, trust, allow or learn", load: async () => (await import("./policy.ts")).policyCommands },
  { name: "doctor", summary: "what this machine has, lacks, and how to fix it", load: async () => (await import("./doctor.ts")).doctorCommand },
  { name: "completion", summary: "completion script for bash, zsh or fish", load: async () => (await import("./completion.ts")).completionCommand(COMMANDS) },
];
