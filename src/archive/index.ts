/** Archives: reading tar, zip, gzip and zstd so that no two readers could see different things. Nothing here touches a disk. */
export { type ArchiveFault, refuse } from "./archive-fault.ts";
export { archivePath } from "./entry-path.ts";
export { type GunzipOptions, gunzipBytes, gunzipPieces, type PackedSource, promisedBytes, UnpackedTooLarge } from "./gzip.ts";
export { type TarEntry, type TarHandler, TarReader } from "./tar-reader.ts";
export { type ZipItem, type ZipOptions, zipEntries } from "./zip.ts";
export { zstdPieces } from "./zstd.ts";
