/**
 * The ratchet's base: the lockfile as the branch had it that this work will be merged into. Found in the repository alone:
 * what a workflow says of itself in its environment (GITHUB_BASE_REF) could name a base with more in it.
 */
import { realpathSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { MAX_LOCKFILE_BYTES } from "../../inventory/index.ts";
import { gitRoot } from "../../policy/index.ts";
import { GitFailure, GitView } from "./git-view.ts";

export interface BaseRequest {
  /** The project's folder. */
  readonly root: string;
  /** The lockfile, from `root`. */
  readonly file: string;
  /** Branch or commit to compare with. Default: the first of `BRANCHES` that is here. */
  readonly ref?: string | undefined;
  readonly signal: AbortSignal;
  /** Of the caller, for PATH; default that of this process. */
  readonly env?: Readonly<NodeJS.ProcessEnv>;
  /** Longest time for all of it, ms. Default 10,000. */
  readonly timeout?: number;
}

/** The base, or why there is none and how to get one. */
export type Base = { readonly ref: string; readonly note: string; readonly text: string } | { readonly note: string };

/** In full, so that no tag or file of a like name stands in for a branch. */
const BRANCHES = ["refs/remotes/origin/HEAD", "refs/remotes/origin/main", "refs/remotes/origin/master", "refs/heads/main", "refs/heads/master"] as const;
const LOCKFILES = ["package-lock.json", "npm-shrinkwrap.json"] as const;
const TIMEOUT = 10_000;
/** Characters of a commit's name in what is said. */
const SHORT = 10;

/**
 * Reads the lockfile at the merge base of HEAD and a branch. `ref` of the result is the commit, shortened. A lockfile
 * of more than 64 MiB is none; whatever is in the way is a note and not an error. Throws the signal's reason when that is aborted.
 */
export async function readBase(request: BaseRequest): Promise<Base> {
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(request.timeout ?? TIMEOUT)]);
  try {
    const root = realpathSync(request.root);
    const repository = gitRoot(root);
    const view = await GitView.open(repository, (request.env ?? process.env)["PATH"] ?? "");
    if (typeof view === "string") return { note: `no base: ${view}` };
    using git = view;
    return await new BaseReader(git, signal).read(relative(repository, join(root, request.file)), request.ref);
  } catch (error) {
    request.signal.throwIfAborted();
    return { note: `no base: ${whyNot(error)}` };
  }
}

function whyNot(error: unknown): string {
  switch (error instanceof GitFailure ? error.fault : undefined) {
    case "no-git":
      return "git is not installed";
    case "late":
      return "git did not answer in time";
    case "too-large":
      return "the lockfile there is larger than 64 MiB";
    default:
      return "the repository cannot be read";
  }
}

interface Branch {
  readonly name: string;
  readonly commit: string;
}

class BaseReader {
  readonly #git: GitView;
  readonly #signal: AbortSignal;

  constructor(git: GitView, signal: AbortSignal) {
    this.#git = git;
    this.#signal = signal;
  }

  async read(path: string, ref: string | undefined): Promise<Base> {
    const [head, branch] = await Promise.all([this.#commit("HEAD"), ref === undefined ? this.#defaultBranch() : this.#named(ref)]);
    if (head === undefined) return { note: "no base: there is no commit yet" };
    if (typeof branch === "string") return { note: branch };
    const base = branch.commit === head ? head : await this.#git.line(["merge-base", head, branch.commit], this.#signal);
    if (base === undefined) return { note: this.#unrelated(branch.name) };
    const short = base.slice(0, SHORT);
    const found = await this.#lockfile(base, path);
    if (typeof found === "string") return { note: `no base: ${found} at ${short}, ${base === head ? "HEAD" : `the merge base with ${branch.name}`}` };
    return {
      ref: short,
      note: base !== head ? `merge base with ${branch.name}` : branch.name === "HEAD" ? "HEAD" : `HEAD, which is in ${branch.name}`,
      text: found.text,
    };
  }

  async #defaultBranch(): Promise<Branch | string> {
    const format = "--format=%(refname) %(objectname) %(symref)";
    const lines = (await this.#git.run(["for-each-ref", format, ...BRANCHES], { signal: this.#signal })).toString("utf8").split("\n");
    const refs = new Map(lines.map((line) => line.split(" ")).map(([full = "", commit = "", target = ""]) => [full, { commit, target }]));
    for (const full of BRANCHES) {
      const found = refs.get(full);
      if (found !== undefined) return { name: (found.target || full).replace(/^refs\/(?:remotes|heads)\//, ""), commit: found.commit };
    }
    return "no base: neither origin/main, origin/master, main nor master is here; git fetch origin main (in actions/checkout: fetch-depth: 0), or --base REF";
  }

  async #named(ref: string): Promise<Branch | string> {
    const commit = /^[\w.][\w./@{}~^+-]{0,255}$/.test(ref) ? await this.#commit(ref) : undefined;
    if (commit !== undefined) return { name: ref, commit };
    const branch = ref.replace(/^(?:refs\/remotes\/)?origin\//, "");
    const fetch = /^\w[\w./-]{0,99}$/.test(branch) ? `; git fetch origin ${branch}` : "";
    return `no base: ${JSON.stringify(ref.slice(0, 100))} is no commit here${fetch}`;
  }

  async #commit(ref: string): Promise<string | undefined> {
    const name = await this.#git.line(["rev-parse", "--verify", "--quiet", "--end-of-options", `${ref}^{commit}`], this.#signal);
    return name !== undefined && /^[0-9a-f]{40,64}$/.test(name) ? name : undefined;
  }

  #unrelated(name: string): string {
    return this.#git.shallow
      ? `no base: this clone is shallow, and does not reach back to where it left ${name}; git fetch --unshallow (in actions/checkout: fetch-depth: 0)`
      : `no base: HEAD and ${name} have no commit in common`;
  }

  /** The lockfile as it stood there, or the other of npm's two names for it; in words what is there instead. */
  async #lockfile(commit: string, path: string): Promise<{ readonly text: string } | string> {
    const places = [...new Set([basename(path), ...LOCKFILES])].map((name) => join(dirname(path), name));
    const listed = (await this.#git.run(["ls-tree", "-z", "-l", "--full-tree", commit, "--", ...places], { signal: this.#signal }))
      .toString("utf8")
      .split("\0");
    const entries = new Map(listed.map((line) => [line.slice(line.indexOf("\t") + 1), line.split(/[ \t]+/)]));
    for (const place of places) {
      const [mode, type, object, size] = entries.get(place) ?? [];
      if (object === undefined) continue;
      if (type !== "blob" || mode === "120000") return `${place} was no file`;
      if (!/^\d+$/.test(size ?? "")) return `${place} is not in this clone (git show ${commit.slice(0, SHORT)}:${place} fetches it)`;
      if (Number(size) > MAX_LOCKFILE_BYTES) throw new GitFailure("too-large");
      const bytes = await this.#git.run(["cat-file", "blob", object], { signal: this.#signal, maxBytes: MAX_LOCKFILE_BYTES });
      return { text: bytes.toString("utf8") };
    }
    return "there was no lockfile";
  }
}
