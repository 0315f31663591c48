/** Ours, as package.json says. */
export { productVersion as version } from "../../foundation/index.ts";
