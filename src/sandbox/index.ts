/** A process on the host in a jail. */
export * from "./jail-types.ts";
export { runJail, type JailTools } from "./jail.ts";
export { locateJailHelper } from "./helper.ts";
export { systemBinds } from "./view.ts";
