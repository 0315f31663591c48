/**
 * The jail against its corpus. Each attack is first shown to work without the jail and then has to fail inside; what honest
 * scripts do has to work in both places. One file of tests a caller, so that they run side by side.
 */
import { afterAll, expect, test } from "vitest";
import { requires } from "../../world/needs.ts";
import { type Attack, promised, succeeded, type Who } from "./attack.ts";
import { CONTROLS } from "./controls.ts";
import { CORPUS } from "./corpus.ts";
import { runInJail } from "./inside.ts";
import { runOutside } from "./outside.ts";
import { Victim } from "./victim.ts";

type Run = (attack: Attack, victim: Victim) => Promise<{ output: string; killedBy?: string }>;

/** @param as who calls the jail. */
export function jailSuite(as: Who): void {
  const shown: string[] = [];
  const refused: string[] = [];
  const inside: Run = (attack, victim) => runInJail(attack, victim, as);

  for (const attack of CORPUS)
    test(`${attack.group}: ${attack.name}`, async (context) => {
      if (as === "root") requires(context, "root");
      const promise = promised(attack, as);
      if (promise.works) {
        await expectWon(true, "outside", runOutside, attack, as);
        shown.push(attack.name);
      } else if (promise.machine) refused.push(`${attack.name}: ${promise.why}`);
      requires(context, "jail");
      await expectWon(false, "inside", inside, attack, as);
    });

  for (const control of CONTROLS)
    test(`${control.group}: ${control.name}`, async (context) => {
      if (as === "root") requires(context, "root");
      await expectWon(true, "outside", runOutside, control, as);
      requires(context, "jail");
      await expectWon(true, "inside", inside, control, as);
    });

  test("no two attacks have one name", () => {
    const names = [...CORPUS, ...CONTROLS].map(({ group, name }) => `${group}: ${name}`);
    expect(new Set(names).size).toBe(names.length);
  });

  afterAll(() => {
    // A machine on which little can be shown proves little: then the run says so instead of being green.
    if (shown.length + refused.length > 50) expect(refused.length / (shown.length + refused.length), refused.join("\n")).toBeLessThan(0.25);
  });
}

/** Runs it on a victim of its own. The message of a failure has what it printed: attacks say why they lost. */
async function expectWon(won: boolean, where: string, run: Run, attack: Attack, as: Who): Promise<void> {
  await using victim = await Victim.make(as);
  const { output, killedBy } = await run(attack, victim);
  const ended = killedBy === undefined ? "" : `, ended by ${killedBy}`;
  expect(await succeeded(attack, victim, output), `won ${where}${ended}: ${output.slice(-500)}`).toBe(won);
}
