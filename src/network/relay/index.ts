/** Relay: what a job sends, and where it goes. */
export { type GatewayOptions, openJobGateway } from "./gateway.ts";
