/** The one function of the peer that bench/hash.ts calls; the package brings no types. */
declare module "ssri" {
  import type { Readable } from "node:stream";

  const ssri: { checkStream(stream: Readable, integrity: string): Promise<unknown> };
  export default ssri;
}
