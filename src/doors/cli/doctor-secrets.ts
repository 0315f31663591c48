/** The secrets' row of the doctor: is their key private, do they open, is the store the latest, does the vault answer. */
import { CofferdamError, messageOf } from "../../foundation/index.ts";
import type { CommandContext } from "./command.ts";
import type { Check } from "./doctor.ts";
import { allNames, withSecrets } from "./secret-session.ts";
import { openPolicy } from "./session.ts";

export async function secrets(context: CommandContext): Promise<Check> {
  const name = "secrets";
  try {
    const { values } = await openPolicy(context);
    const vault = values["secrets.backend"] === "vault";
    return await withSecrets(
      context,
      async (kept, by) => {
        // Looking makes no store and no key.
        if (!vault && kept.keys.state() === undefined) return { name, status: "ok", detail: "none yet" };
        await kept.initialize();
        if (vault) return { name, status: "ok", detail: `in the vault ${values["secrets.vault"]["address"]}, which lets us in` };
        let count = 0;
        for await (const _ of allNames(kept, by)) count += 1;
        const kinds = kept.keys.state()?.keys.map(({ kind }) => kind) ?? [];
        if (kinds.length === 1) return { name, status: "ok", detail: `${count}, sealed; the key is a ${kinds[0]}: ${kept.keys.path}` };
        return { name, status: "warn", detail: `${count}, sealed; a change of the key was interrupted`, fix: "cofferdam secret rewrap" };
      },
      false,
    );
  } catch (error) {
    const fix = error instanceof CofferdamError && error.hint !== undefined ? { fix: error.hint } : {};
    return { name, status: "fail", detail: messageOf(error), costs: "jobs with secrets", ...fix };
  }
}
