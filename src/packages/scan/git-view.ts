/**
 * A repository's commits, read without its configuration. A repository can name programs in its own .git/config for git to
 * start (fsmonitor, filters, text converters, pagers, transports of lazy fetches); git is therefore run on a folder of ours
 * that links to its refs and objects and has a configuration of ours. What nobody reads starts nothing, and whose folder it
 * is (safe.directory, when root looks at another user's checkout) is no question either.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { errnoOf, readBounded } from "../../foundation/index.ts";

/** What of a repository its readers need: linked, never copied. */
const LINKED = ["refs", "packed-refs", "objects", "shallow"] as const;
const MAX_SMALL = 4096;
const MAX_CONFIG: number = 2 ** 20;

/** Why git could not answer. */
export type GitFault = "no-git" | "no" | "too-large" | "late";

export class GitFailure extends Error {
  readonly fault: GitFault;

  constructor(fault: GitFault, cause?: unknown) {
    super(`git: ${fault}`, { cause });
    this.fault = fault;
  }
}

/** The two folders of a repository: its own (HEAD), and the one that worktrees share (refs, objects). */
interface GitFolders {
  readonly own: string;
  readonly common: string;
}

export class GitView implements Disposable {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  /** True when the history was cut off by a shallow clone. */
  readonly shallow: boolean;

  private constructor(folder: string, path: string, shallow: boolean) {
    this.#folder = folder;
    this.shallow = shallow;
    this.#env = {
      PATH: path,
      HOME: folder,
      LC_ALL: "C",
      GIT_DIR: folder,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      // A replacement object says of a commit what it is not.
      GIT_NO_REPLACE_OBJECTS: "1",
      GIT_NO_LAZY_FETCH: "1",
      GIT_ALLOW_PROTOCOL: "none",
      GIT_OPTIONAL_LOCKS: "0",
      GIT_LITERAL_PATHSPECS: "1",
      GIT_TERMINAL_PROMPT: "0",
      GIT_PAGER: "cat",
    };
  }

  /**
   * @param repository the folder that `.git` is in. @param path the caller's PATH.
   * @returns what is in the way, in words, instead of a view.
   */
  static async open(repository: string, path: string): Promise<GitView | string> {
    if (!existsSync(join(repository, ".git"))) return "not in a git repository";
    const folders = await gitFolders(join(repository, ".git"));
    if (folders === undefined) return "its .git cannot be read";
    const head = (await readBounded(join(folders.own, "HEAD"), { maxBytes: MAX_SMALL, what: "HEAD" }))?.toString("latin1").trim();
    if (head === undefined || !/^(?:ref: refs\/[^\s]+|[0-9a-f]{40}|[0-9a-f]{64})$/.test(head)) return "its HEAD cannot be read";
    if (existsSync(join(folders.common, "reftable"))) return "its refs are kept in a form (reftable) that is not read here";
    const config = (await readBounded(join(folders.common, "config"), { maxBytes: MAX_CONFIG, what: ".git/config" }))?.toString("latin1") ?? "";
    const folder = mkdtempSync(join(tmpdir(), "cofferdam-git-"));
    try {
      writeFileSync(join(folder, "HEAD"), `${head}\n`);
      writeFileSync(join(folder, "config"), ownConfig(/^\s*objectformat\s*=\s*sha256\s*$/im.test(config)));
      for (const name of LINKED) if (existsSync(join(folders.common, name))) symlinkSync(join(folders.common, name), join(folder, name));
      return new GitView(folder, trustedPath(path, repository), existsSync(join(folders.common, "shallow")));
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Standard output of one git command. Throws GitFailure; what git itself says of it may quote the repository, and is dropped. */
  async run(args: readonly string[], options: { readonly signal: AbortSignal; readonly maxBytes?: number }): Promise<Buffer> {
    return await new Promise((done, fail) => {
      const { signal, maxBytes = 65_536 } = options;
      execFile(
        "git",
        ["--no-pager", ...args],
        { cwd: this.#folder, env: this.#env, encoding: "buffer", maxBuffer: maxBytes, signal, killSignal: "SIGKILL" },
        (error, stdout) => {
          if (error === null) done(stdout);
          else fail(new GitFailure(faultOf(error, signal), error));
        },
      );
    });
  }

  /** One line of output, or undefined where git says no. */
  async line(args: readonly string[], signal: AbortSignal): Promise<string | undefined> {
    try {
      const line = (await this.run(args, { signal })).toString("utf8").trim();
      return line === "" ? undefined : line;
    } catch (error) {
      if (error instanceof GitFailure && error.fault === "no") return undefined;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function faultOf(error: Error, signal: AbortSignal): GitFault {
  if (signal.aborted) return "late";
  if (errnoOf(error) === "ENOENT" || errnoOf(error) === "EACCES") return "no-git";
  return "code" in error && error.code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER" ? "too-large" : "no";
}

/** `.git` itself, or where a worktree's or submodule's `.git` file leads. */
async function gitFolders(path: string): Promise<GitFolders | undefined> {
  try {
    const file = await readBounded(path, { maxBytes: MAX_SMALL, what: ".git" }).catch(() => undefined);
    const named = file === undefined ? path : /^gitdir: (.+)\n?$/.exec(file.toString("utf8"))?.[1];
    if (named === undefined) return undefined;
    const own = realpathSync(resolve(dirname(path), named));
    const shared = (await readBounded(join(own, "commondir"), { maxBytes: MAX_SMALL, what: "commondir" }))?.toString("utf8").trim();
    return { own, common: shared === undefined ? own : realpathSync(resolve(own, shared)) };
  } catch {
    return undefined;
  }
}

/** The length of names is the one thing to know of the repository's own configuration. */
function ownConfig(sha256: boolean): string {
  return [
    "[core]",
    `repositoryFormatVersion = ${sha256 ? 1 : 0}`,
    "bare = true",
    // A file beside the objects that repeats who a commit's parents are; only the commits themselves count.
    "commitGraph = false",
    "hooksPath = /dev/null",
    "fsmonitor = false",
    // Larger objects are streamed, not held.
    "bigFileThreshold = 1m",
    "[protocol]",
    "allow = never",
    ...(sha256 ? ["[extensions]", "objectFormat = sha256"] : []),
    "",
  ].join("\n");
}

/** The system's git first; never one from inside the repository. */
function trustedPath(path: string, repository: string): string {
  const others = path.split(delimiter).filter((folder) => folder.startsWith("/") && !`${resolve(folder)}/`.startsWith(`${repository}/`));
  return ["/usr/bin", "/bin", "/usr/local/bin", ...others].join(delimiter);
}
