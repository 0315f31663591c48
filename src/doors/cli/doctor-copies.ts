/** The doctor's look at where checkpoints go: what every place took last, and whether that is enough for the policy. */
import { outsideProblem } from "../../audit/index.ts";
import { CofferdamError, messageOf, systemClock } from "../../foundation/index.ts";
import type { CommandContext } from "./command.ts";
import { deliveryLine } from "./delivery-line.ts";
import type { Check } from "./doctor.ts";
import { openPolicy, withState } from "./session.ts";

const COSTS = "installs, scripts, sandbox runs and jobs, which this level refuses then";

export async function copies(context: CommandContext): Promise<Check> {
  const name = "checkpoints outside";
  try {
    const { values } = await openPolicy(context);
    const within = values["audit.copy-within"];
    const places = values["audit.copy"].length + values["audit.witnesses"].length;
    if (places === 0)
      return within === "never"
        ? { name, status: "ok", detail: `no copy or witness is configured; level ${values.level} asks for none` }
        : { name, status: "fail", detail: `level ${values.level} asks for a copy or a witness, and none is configured`, costs: COSTS, fix: "docs/audit.md" };
    const deliveries = await withState(context, ({ audit }) => audit.deliveries());
    const now = systemClock.now();
    const detail = deliveries.map((one) => deliveryLine(one, now)).join("; ");
    // One that is merely old is brought out by the next guarded action.
    if (deliveries.every(({ last }) => last === "success")) return { name, status: "ok", detail };
    const problem = within === "never" ? undefined : outsideProblem(deliveries, within, now);
    return { name, status: "warn", detail, ...(problem === undefined ? {} : { costs: COSTS }), fix: "cofferdam audit checkpoint" };
  } catch (error) {
    const hint = error instanceof CofferdamError ? error.hint : undefined;
    return { name, status: "fail", detail: messageOf(error), ...(hint === undefined ? {} : { fix: hint }) };
  }
}
