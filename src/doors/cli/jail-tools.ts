/** What a jail is made with on this machine. */
export { jailTools } from "../../packages/index.ts";
