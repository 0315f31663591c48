/**
 * The jail against its corpus. Each attack is first shown to work without the jail, as root and as an ordinary user, and then
 * has to fail inside; what honest scripts do has to work in both places.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { requires } from "../world/needs.ts";
import { type Attack, promised, type RunInJail, succeeded, type Who } from "./jail/attack.ts";
import { CONTROLS } from "./jail/controls.ts";
import { CORPUS } from "./jail/corpus.ts";
import { runOutside } from "./jail/outside.ts";
import { Victim } from "./jail/victim.ts";

const INSIDE = fileURLToPath(new URL("./jail/inside.ts", import.meta.url));
const inside: { readonly runInJail: RunInJail } | undefined = existsSync(INSIDE) ? await import(/* @vite-ignore */ INSIDE) : undefined;

interface Outcome {
  readonly won: boolean;
  readonly output: string;
}

async function outcome(run: (attack: Attack, victim: Victim) => Promise<{ output: string; killedBy?: string }>, attack: Attack, as: Who): Promise<Outcome> {
  await using victim = await Victim.make(as);
  const { output, killedBy } = await run(attack, victim);
  return { won: await succeeded(attack, victim, output), output: `${output.slice(-500)}${killedBy === undefined ? "" : `\nended by: ${killedBy}`}` };
}

describe.each(["root", "user"] as const)("as %s", (as) => {
  const shown: string[] = [];
  const refused: string[] = [];

  test.for(CORPUS)("$group: $name", async (attack, context) => {
    if (as === "root") requires(context, "root");
    const promise = promised(attack, as);
    if (promise.works) {
      expect(await outcome(runOutside, attack, as), "outside").toMatchObject({ won: true });
      shown.push(attack.name);
    } else if (promise.machine) refused.push(`${attack.name}: ${promise.why}`);
    if (inside === undefined) return;
    requires(context, "bwrap");
    const { runInJail } = inside;
    expect(await outcome((one, victim) => runInJail(one, victim, as), attack, as), "inside").toMatchObject({ won: false });
  });

  test.for(CONTROLS)("$group: $name", async (control, context) => {
    if (as === "root") requires(context, "root");
    expect(await outcome(runOutside, control, as), "outside").toMatchObject({ won: true });
    if (inside === undefined) return;
    requires(context, "bwrap");
    const { runInJail } = inside;
    expect(await outcome((one, victim) => runInJail(one, victim, as), control, as), "inside").toMatchObject({ won: true });
  });

  afterAll(() => {
    // A machine on which little can be shown proves little: then the run says so instead of being green.
    if (shown.length + refused.length > 100) expect(refused.length / (shown.length + refused.length), refused.join("\n")).toBeLessThan(0.25);
  });
});

test("no two attacks have one name", () => {
  const names = [...CORPUS, ...CONTROLS].map(({ group, name }) => `${group}: ${name}`);
  expect(new Set(names).size).toBe(names.length);
});
