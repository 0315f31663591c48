/** Writes schema/cofferdam.schema.json, the published JSON Schema of cofferdam.yaml. Run: node src/policy/publish-schema.ts */
import { writeFileSync } from "node:fs";
import { policyFileSchema } from "./schema.ts";

/** Text of the published schema; a test keeps the file the same. */
export function schemaText(): string {
  return `${JSON.stringify(policyFileSchema.toJSONSchema({ unrepresentable: "any", io: "input" }), null, 2)}\n`;
}

if (process.argv[1] === import.meta.filename) writeFileSync(new URL("../../schema/cofferdam.schema.json", import.meta.url), schemaText());
