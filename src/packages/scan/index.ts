/** The scan, as an entry of its own: who only looks things up does not load the guarded install. */
export { bomOf } from "./bom.ts";
export { allowanceOf } from "./decision.ts";
export { type BomPackage, cycloneDxText } from "./formats/cyclonedx.ts";
export { findingDocument, type ScanDocument, scanDocument, sourceDocument } from "./formats/json.ts";
export { sarifText } from "./formats/sarif.ts";
export { type Freshness, judgeFreshness } from "./freshness.ts";
export type { Fix, JudgedSource, Place, ScannedFinding, ScanResult, Verdict } from "./result.ts";
export { type Scan, type ScanRequest, scan } from "./scan.ts";
export { byUrgency, VERDICTS } from "./urgency.ts";
