/** Edits of a policy file that the user asks for: their own act keeps the trust that was there, and is on record. */
import { isoTime, messageOf, systemClock } from "../../foundation/index.ts";
import { type EditResult, TrustStore } from "../../policy/index.ts";
import type { CommandContext } from "./command.ts";
import { withState } from "./session.ts";

export interface RecordedEdit {
  /** `policy allow`. */
  readonly command: string;
  readonly path: string;
  /** What it comes to, each in a few words. */
  readonly changes: readonly string[];
  /** The user's configuration folder, where trust is recorded. */
  readonly userFolder: string;
  readonly act: () => Promise<EditResult>;
}

/** @returns whether the file counts in full. The trail is opened first: what cannot be recorded is not done. */
export async function recordedEdit(context: CommandContext, { command, path, changes, userFolder, act }: RecordedEdit): Promise<boolean> {
  return await withState(context, async ({ audit }) => {
    const record = async (result: "success" | "failure", message?: string): Promise<void> => {
      await audit.log({
        ...{ category: "packages", action: "ConfigurationChange", result, resourceType: "policy", resourceId: path.slice(0, 1024) },
        details: {
          command,
          changes: changes.slice(0, 100).map((one) => one.slice(0, 500)),
          ...(message === undefined ? {} : { message: message.slice(0, 1000) }),
        },
      });
    };
    try {
      const applies = await keepingTrust(userFolder, path, await act());
      await record("success");
      return applies;
    } catch (error) {
      await record("failure", messageOf(error));
      throw error;
    }
  });
}

/**
 * @param userFolder the user's configuration folder, where trust is recorded.
 * @returns whether the file counts in full: a stranger's file does not become trusted by an edit.
 */
export async function keepingTrust(userFolder: string, path: string, edit: EditResult): Promise<boolean> {
  const trusted = new TrustStore(userFolder);
  const keeps = edit.sha256Before === undefined || (await trusted.isTrusted(path, edit.sha256Before));
  if (keeps) await trusted.trust(path, edit.sha256After, isoTime(systemClock));
  return keeps;
}
