/** Resolver: the only name server that a job has. */
export { DnsServer } from "./dns-server.ts";
export { JobResolver } from "./job-resolver.ts";
export { hostNameServers, NameServers, parseNameServer, readNameServer } from "./name-servers.ts";
