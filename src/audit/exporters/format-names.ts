/** Names of the export formats, known before any of them is loaded. */
export const EXPORT_FORMATS = ["json", "ndjson", "csv", "ocsf", "bundle", "compliance", "compliance-text"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];
