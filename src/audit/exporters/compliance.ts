/** The compliance report as a format: as JSON, and in plain text. */
import { CofferdamError } from "../../foundation/index.ts";
import { complianceReport } from "../compliance/report.ts";
import { complianceSummary } from "../compliance/summary.ts";
import type { Exporter, ExportSource } from "./format.ts";

export const compliance: Exporter = {
  checkpoint: "wanted",
  recorded: true,
  async *write(source) {
    yield `${JSON.stringify(await complianceReport(wholePeriod(source)), null, 1)}\n`;
  },
};

export const complianceText: Exporter = {
  checkpoint: "wanted",
  recorded: true,
  async *write(source) {
    yield complianceSummary(await complianceReport(wholePeriod(source)));
  },
};

/** A report of some events would look like one of all. */
function wholePeriod(source: ExportSource): ExportSource {
  const { startDate: _from, endDate: _to, ...filters } = source.query;
  const narrowed = Object.entries(filters).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (narrowed.length > 0)
    throw new CofferdamError("INVALID_ARGUMENT", `a compliance report has all events of a period: no filter ${narrowed.join(", ")}, please`);
  return source;
}
