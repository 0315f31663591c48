/** Engine: the container engine (Docker Engine API) behind one typed interface. */
export type * from "./answers.ts";
export type * from "./bodies.ts";
export type * from "./types.ts";
