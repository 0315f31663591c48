/** Archives: reading tar, gzip and their like so that no two readers could see different things. Nothing here touches a disk. */
export { type ArchiveFault, refuse } from "./archive-fault.ts";
export { archivePath } from "./entry-path.ts";
export { type GunzipOptions, gunzipBytes, gunzipPieces, type PackedSource, promisedBytes, UnpackedTooLarge } from "./gzip.ts";
export { type TarEntry, type TarHandler, TarReader } from "./tar-reader.ts";
