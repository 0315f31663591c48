/** Relay: what a job sends, and where it goes. */
export { type GatewayOptions, openJobGateway, PROXY_PORT } from "./gateway.ts";
