/** The doctor's look at the advisories: are there any, and are they fresh enough for the level. */
import { formatDuration, messageOf, systemClock } from "../../foundation/index.ts";
import { judgeFreshness } from "../../packages/scan/index.ts";
import type { CommandContext } from "./command.ts";
import type { Check } from "./doctor.ts";
import { openAdvisories, openPolicy } from "./session.ts";

const COSTS = "guarded installs and scans, which refuse without data (level low goes on and says so)";

export async function advisories(context: CommandContext): Promise<Check> {
  const name = "advisories";
  try {
    await using database = await openAdvisories(context);
    const { values } = await openPolicy(context);
    const index = await database.open();
    const { refusals, warnings, sources } = judgeFreshness(index?.meta.sources ?? [], values, systemClock.now());
    const held = sources.filter(({ freshAsOf }) => freshAsOf !== undefined);
    const detail = held.map((source) => `${source.name}: ${source.advisories} as of ${source.freshAsOf?.slice(0, 10)}`).join(", ");
    if (refusals.length > 0)
      return { name, status: "warn", detail: refusals.join("; "), costs: COSTS, fix: "cofferdam db update, or cofferdam db import FILE" };
    if (warnings.length > 0) return { name, status: "warn", detail: warnings.join("; "), fix: "cofferdam db update" };
    const oldest = Math.max(0, ...held.map(({ freshAsOf }) => systemClock.now() - Date.parse(freshAsOf ?? "")));
    return { name, status: "ok", detail: `${detail} (at most ${formatDuration(oldest)} old)` };
  } catch (error) {
    return {
      name,
      status: "fail",
      detail: messageOf(error),
      costs: COSTS,
      fix: "remove the advisories folder of the state directory, then cofferdam db update",
    };
  }
}
