/** Integrity: is it the bytes it should be, and is the archive built as a package may be. */
export { type ArchiveFault, type TarEntry, type TarHandler, TarReader } from "../archive/index.ts";
export { type DigestAlgorithm, type ExpectedDigest, parseExpected } from "./expected-digest.ts";
export { installedFiles, type TarballFile, type TarballLimits, type TarballManifest } from "./manifest.ts";
export { type BundledPackage, type PackageFacts, readPackageFacts } from "./package-facts.ts";
export { inspectBytes, inspectFile, inspectTarball } from "./tarball.ts";
export { integrityFailure, type VerifyFileOptions, type VerifyResult, verifyBytes, verifyFile } from "./verify.ts";
