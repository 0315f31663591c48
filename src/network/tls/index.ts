/** TLS: ended here where a policy has rules for requests, and begun again towards the server. */
export { JobAuthority } from "./job-authority.ts";
export { acceptTls, ServerTrust } from "./terminate.ts";
