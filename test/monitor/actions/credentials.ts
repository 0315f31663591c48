/** Reading what is secret. */
import { type Action, MARK } from "./action.ts";

const read = new RegExp(MARK);
const fetched = /answer from port 80/;

export const CREDENTIALS: readonly Action[] = [
  {
    name: "ReadSensitiveFileUntrusted",
    script: "cat /etc/shadow",
    shows: read,
    renamed: "cp /bin/busybox /tmp/r; (exec -a cat /tmp/r /etc/shadow)",
  },
  {
    // A server that has worked before it reads what servers read only as they start.
    name: "ReadSensitiveFileTrustedAfterStartup",
    script: `httpd -MSocket -e 'socket S, PF_INET, SOCK_STREAM, 0; bind S, sockaddr_in(8080, INADDR_ANY) or die; listen S, 1;
      if (!fork) { socket C, PF_INET, SOCK_STREAM, 0; connect C, sockaddr_in(8080, INADDR_LOOPBACK) or die; exit }
      accept A, S or die; wait; open F, "/etc/shadow" or die; print <F>'`,
    shows: read,
  },
  { name: "DirectoryTraversalMonitoredFileRead", script: "cat /var/www/../../etc/../etc/shadow", shows: read },
  {
    name: "ReadSshInformation",
    script: "cat /root/.ssh/id_ed25519",
    shows: read,
    renamed: "cp /bin/busybox /tmp/r; (exec -a head /tmp/r /root/.ssh/id_ed25519)",
  },
  { name: "FindAwsCredentials", script: "grep -r aws_secret_access_key /root/.aws", shows: read },
  {
    name: "SearchPrivateKeysOrPasswords",
    script: "find / -xdev -name id_ed25519",
    shows: /^\/root\/\.ssh\/id_ed25519$/m,
    renamed: "cp /bin/busybox /tmp/f; (exec -a find /tmp/f / -xdev -name id_ed25519)",
  },
  { name: "ReadEnvironmentVariableFromProcFiles", script: "sleep 30 & cat /proc/$!/environ | tr '\\0' '\\n'; kill $!", shows: /^CANARY=from-the-job$/m },
  { name: "ReadShellConfigurationFile", script: "cat /root/.bashrc", shows: read },
  { name: "ContactEC2InstanceMetadataServiceFromContainer", script: "wget -q -O - http://169.254.169.254/latest/meta-data/", shows: fetched },
  {
    name: "ContactCloudMetadataServiceFromContainer",
    script: "wget -q -O - http://168.63.129.16/metadata/",
    shows: fetched,
    renamed: "cp /bin/busybox /tmp/g; (exec -a wget /tmp/g -q -O - http://168.63.129.16/metadata/)",
  },
  { name: "CreateSymlinkOverSensitiveFiles", script: "ln -s /etc/shadow /tmp/s; cat /tmp/s", shows: read, changes: ["/tmp/s"] },
  { name: "CreateHardlinkOverSensitiveFiles", script: "ln /etc/shadow /tmp/h; cat /tmp/h", shows: read, changes: ["/tmp/h"] },
];
