/**
 * Approvals of install scripts in the package client's own file: what npm keeps in `allowScripts` of package.json. A team
 * that reviewed its scripts for the client has reviewed them for us, and the other way round. One interface, one
 * implementation a client: pnpm's `onlyBuiltDependencies` and bun's `trustedDependencies` fit the same three questions.
 */
import type { LockedPackage } from "../../inventory/index.ts";

/** What the client's file says of a package's scripts. `unlisted`: nobody has decided. */
export type Verdict = "approved" | "denied" | "unlisted";

export interface Approval {
  readonly verdict: Verdict;
  /** The entry that decides, as it is written: `esbuild@0.25.2`. */
  readonly by: string | undefined;
}

export interface Approvals {
  /** The file that counts, for messages: `package.json`, `.npmrc`; undefined when none has an entry. */
  readonly source: string | undefined;
  /** The field that a person would look at: `allowScripts`. */
  readonly field: string;
  /** Entries that the client passes over, and why. */
  readonly ignored: readonly { readonly entry: string; readonly why: string }[];
  verdict(locked: LockedPackage): Approval;
}

/** One change of the client's file. */
export interface ApprovalChange {
  readonly entry: string;
  readonly change: "added" | "removed";
}

export interface ApprovalsFile {
  /** Throws INVALID_ARGUMENT for a file that cannot be read, PAYLOAD_TOO_LARGE past its limit. */
  read(): Promise<Approvals>;
  /**
   * Approves these packages: every place of one name at once, since the client decides by name and version.
   * Throws FAILED_PRECONDITION when one of them is denied (a denial is taken back by hand), CONFLICT when the file changed meanwhile.
   */
  approve(packages: readonly LockedPackage[]): Promise<readonly ApprovalChange[]>;
  /** Denies these packages in every version. Throws CONFLICT when the file changed meanwhile. */
  deny(packages: readonly LockedPackage[]): Promise<readonly ApprovalChange[]>;
}
