/** A process on the host in a jail. */

export { locateJailHelper } from "./helper.ts";
export { type JailTools, runJail } from "./jail.ts";
export * from "./jail-types.ts";
export { maskedNodes } from "./masks.ts";
export { parseNetTarget } from "./net-target.ts";
export { CLONE_NAMESPACES, PERSONALITIES, REFUSED as REFUSED_CALLS, TERMINAL_REQUESTS } from "./seccomp/filter.ts";
export { stopCode } from "./stop-code.ts";
export { type Toolchain, toolchain } from "./toolchain.ts";
export { parentsOf, systemBinds } from "./view.ts";
