/** Engine: the container engine (Docker Engine API) behind one typed interface. */
export type * from "./answers.ts";
export type * from "./bodies.ts";
export { EngineClient } from "./client.ts";
export type { StartFailure } from "./failure.ts";
export { DEFAULT_SOCKET, type DockerodeLike, type EngineAddress, type EngineTarget, type Pem } from "./target.ts";
export type * from "./types.ts";
