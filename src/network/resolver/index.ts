/** Resolver: the only name server that a job has. */
export { DnsServer } from "./dns-server.ts";
export { JobResolver, type JobResolverOptions, type Resolved, SEARCH_DOMAIN } from "./job-resolver.ts";
export { hostNameServers, NameServers, type NameServersOptions, parseNameServer } from "./name-servers.ts";
