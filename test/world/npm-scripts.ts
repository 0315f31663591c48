/** npm's own code for approvals of scripts, from the pinned npm. */
import { createRequire } from "node:module";

/** What npm's code looks at in a package of the tree. */
export interface NpmNode {
  readonly name: string;
  readonly version: string | undefined;
  readonly resolved: string | undefined;
  readonly inBundle?: boolean;
  readonly isRegistryDependency: boolean;
  readonly edgesIn: readonly { readonly name: string; readonly spec: string }[];
}
export type AllowScripts = Readonly<Record<string, unknown>>;

interface Matcher {
  isScriptAllowed(node: NpmNode, policy: AllowScripts): boolean | null;
}
interface Edited {
  readonly allowScripts: AllowScripts;
  readonly warning?: string;
}
interface Writer {
  applyApprovalForPackage(existing: AllowScripts, nodes: readonly NpmNode[]): Edited;
  applyDenyForPackage(existing: AllowScripts, nodes: readonly NpmNode[]): Edited;
}

const NPM = "../../tools/runtime/node_modules/npm";
const load = createRequire(import.meta.url);

export function npmMatcher(): Matcher {
  const matcher: Matcher = load(`${NPM}/node_modules/@npmcli/arborist/lib/script-allowed.js`);
  return matcher;
}

export function npmWriter(): Writer {
  const writer: Writer = load(`${NPM}/lib/utils/allow-scripts-writer.js`);
  return writer;
}
