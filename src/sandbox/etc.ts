/** The jail's /etc: what programs need to run, nothing that says who and where we are. */
import { lstatSync } from "node:fs";

/** Taken from the host, read-only, where they exist. */
const KEPT = [
  "ld.so.cache",
  "ld.so.conf",
  "ld.so.conf.d",
  "ssl",
  "pki",
  "ca-certificates",
  "ca-certificates.conf",
  "crypto-policies",
  "alternatives",
  "localtime",
  "timezone",
  "mime.types",
  "protocols",
  "services",
  "os-release",
  "debian_version",
  "fonts",
] as const;

/** Host files of /etc that exist here. */
export function keptEtc(): string[] {
  return KEPT.map((name) => `/etc/${name}`).filter((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
}

/** Files that are ours, by path. @param home the jail's home folder. */
export function ownEtc(uid: number, gid: number, home: string): ReadonlyMap<string, string> {
  return new Map([
    ["/etc/passwd", `jail:x:${uid}:${gid}::${home}:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n`],
    ["/etc/group", `jail:x:${gid}:\nnogroup:x:65534:\n`],
    ["/etc/hosts", "127.0.0.1 localhost jail\n::1 localhost\n"],
    ["/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"],
    // One try, one second: the name server of the jail answers at once or is not there.
    ["/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"],
  ]);
}
