/** Integrity: is it the bytes it should be, and is the archive built as a package may be. */
export { type DigestAlgorithm, type ExpectedDigest, parseExpected } from "./expected-digest.ts";
export { type PackageFacts, readPackageFacts } from "./package-facts.ts";
export { type ArchiveFault, type TarEntry, type TarHandler, TarReader } from "./tar-reader.ts";
export { inspectBytes, inspectFile, installedFiles, type TarballFile, type TarballLimits, type TarballManifest } from "./tarball.ts";
export { integrityFailure, type VerifyFileOptions, type VerifyResult, verifyBytes, verifyFile } from "./verify.ts";
