/** The jail's /etc: what programs need to run, nothing that says who and where we are. */
import { statSync } from "node:fs";

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

/** Names in the host's /etc that exist here; a link that leads nowhere does not. */
export function keptEtc(): string[] {
  return KEPT.filter((name) => statSync(`/etc/${name}`, { throwIfNoEntry: false }) !== undefined);
}

/** Files that are ours, by name. @param home the jail's home folder. */
export function ownEtc(uid: number, gid: number, home: string): ReadonlyMap<string, string> {
  return new Map([
    ["passwd", `jail:x:${uid}:${gid}::${home}:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n`],
    ["group", `jail:x:${gid}:\nnogroup:x:65534:\n`],
    ["hosts", "127.0.0.1 localhost jail\n::1 localhost\n"],
    ["nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"],
    // One try, one second: the name server of the jail answers at once or is not there.
    ["resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"],
  ]);
}
