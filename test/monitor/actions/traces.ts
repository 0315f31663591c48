/** What is left for later, and what is wiped off. */
import type { Action } from "./action.ts";

export const TRACES: readonly Action[] = [
  { name: "AddingSshKeysToAuthorizedKeys", script: "echo 'ssh-ed25519 AAAA planted' >> /root/.ssh/authorized_keys", changes: ["/root/.ssh/authorized_keys"] },
  { name: "ScheduleCronJobs", script: "echo '* * * * * root true' > /etc/cron.d/planted", changes: ["/etc/cron.d/planted"] },
  { name: "ModifyShellConfigurationFile", script: "echo 'echo planted' >> /root/.bashrc", changes: ["/root/.bashrc"] },
  { name: "UpdatePackageRepository", script: "echo 'deb http://packages.example/ x main' >> /etc/apt/sources.list", changes: ["/etc/apt/sources.list"] },
  {
    name: "UserMgmtBinaries",
    script: "useradd -c 'echo planted:x:0:0::/:/bin/sh >> /etc/passwd'; tail -n 1 /etc/passwd",
    shows: /^planted:/m,
    changes: ["/etc/passwd"],
  },
  { name: "WriteBelowEtc", script: "echo planted > /etc/planted", changes: ["/etc/planted"] },
  { name: "WriteBelowBinaryDir", script: "echo planted > /usr/bin/planted", changes: ["/usr/bin/planted"] },
  { name: "WriteBelowMonitoredDir", script: "echo planted > /usr/lib/planted.so", changes: ["/usr/lib/planted.so"] },
  { name: "WriteBelowRpmDatabase", script: "echo planted > /var/lib/rpm/Packages", changes: ["/var/lib/rpm/Packages"] },
  { name: "MkdirBinaryDirs", script: "mkdir /usr/bin/planted", changes: ["/usr/bin/planted"] },
  { name: "ModifyBinaryDirs", script: "mv /usr/bin/java /usr/bin/java.orig; ls /usr/bin; mv /usr/bin/java.orig /usr/bin/java", shows: /^java\.orig$/m },
  { name: "CreateFilesBelowDev", script: "echo planted > /dev/planted; ls /dev", shows: /^planted$/m },
  { name: "CreateHiddenFilesOrDirectories", script: "mkdir /tmp/.x; echo planted > /tmp/.x/.y; ls -a /tmp/.x", shows: /^\.y$/m, changes: ["/tmp/.x"] },
  { name: "ClearLogActivities", script: "wc -c < /var/log/auth.log; : > /var/log/auth.log; wc -c < /var/log/auth.log", shows: /^[1-9]\d*\n0$/m },
  { name: "DeleteOrRenameShellHistory", script: "rm /root/.bash_history; ls -a /root", shows: /^(?![\s\S]*history)/, changes: ["/root/.bash_history"] },
  { name: "RemoveBulkDataFromDisk", script: "shred -u /var/lib/data/one && ls /var/lib/data", shows: /^(?![\s\S]*one)/, changes: ["/var/lib/data/one"] },
];
