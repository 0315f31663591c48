/**
 * A branch `checkpoints` of a git repository. Written with git's plumbing from a bare repository of our own: no working
 * tree, no hooks, no prompt, and never by force, so that whoever holds the other end can refuse what does not follow.
 */
import { execFile } from "node:child_process";
import { hash } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CofferdamError, makeFolder, messageOf, newId } from "../../foundation/index.ts";
import { unreachable } from "../http.ts";
import { MAX_NOTE_BYTES } from "../note.ts";
import type { CheckpointCopy } from "./copy.ts";
import { withoutCredentials } from "./place.ts";

const BRANCH = "refs/heads/checkpoints";
const THERE = "refs/copy/checkpoints";
/** Longest time of one git command, ms. */
const TIMEOUT = 30_000;

export class GitCopy implements CheckpointCopy {
  readonly name: string;
  readonly #address: string;
  readonly #folder: string;

  /** @param work folder for our own bare repository. */
  constructor(address: string, work: string) {
    this.#address = address;
    this.name = withoutCredentials(address);
    this.#folder = join(work, `${hash("sha256", address, "hex").slice(0, 16)}.git`);
  }

  async read(logId: string): Promise<string | undefined> {
    if (!(await this.#fetch())) return undefined;
    if ((await this.#git(["ls-tree", THERE, "--", `${logId}/checkpoint`])) === "") return undefined;
    return await this.#git(["cat-file", "blob", `${THERE}:${logId}/checkpoint`]);
  }

  async write(logId: string, size: number, note: string): Promise<void> {
    const known = await this.#fetch();
    const index = join(this.#folder, newId("index"));
    const env = { GIT_INDEX_FILE: index };
    try {
      await this.#git(["read-tree", known ? THERE : "--empty"], { env });
      const blob = (await this.#git(["hash-object", "-w", "--stdin"], { input: note })).trim();
      for (const name of [String(size), "checkpoint"]) await this.#git(["update-index", "--add", "--cacheinfo", `100644,${blob},${logId}/${name}`], { env });
      const tree = (await this.#git(["write-tree"], { env })).trim();
      const parent = known ? ["-p", THERE] : [];
      const commit = (await this.#git(["commit-tree", tree, ...parent, "-m", `checkpoint ${size} of ${logId}`])).trim();
      await this.#git(["push", "--quiet", "--", this.#address, `${commit}:${BRANCH}`]);
    } finally {
      rmSync(index, { force: true });
    }
  }

  /** Brings the branch here. @returns false when there is none yet. */
  async #fetch(): Promise<boolean> {
    if (!existsSync(join(this.#folder, "HEAD"))) {
      makeFolder(this.#folder, 0o700);
      await this.#git(["init", "--quiet", "--bare", "--template="]);
    }
    if ((await this.#git(["ls-remote", "--heads", "--", this.#address, BRANCH])) === "") return false;
    await this.#git(["fetch", "--quiet", "--no-tags", "--depth=1", "--", this.#address, `+${BRANCH}:${THERE}`]);
    return true;
  }

  async #git(args: readonly string[], { env = {}, input }: { env?: Readonly<Record<string, string>>; input?: string } = {}): Promise<string> {
    const options = {
      cwd: this.#folder,
      timeout: TIMEOUT,
      maxBuffer: MAX_NOTE_BYTES * 4,
      encoding: "utf8" as const,
      env: { ...environment(process.env), ...env, GIT_DIR: this.#folder },
    };
    return await new Promise((resolve, reject) => {
      const child = execFile("git", [...SAFE_SETTINGS, ...args], options, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else if ("code" in error && error.code === "ENOENT")
          reject(new CofferdamError("ENVIRONMENT_UNFIT", "copies of checkpoints in git need git, which is not installed"));
        else reject(unreachable(this.name, `git ${args[0] ?? ""}: ${withoutSecrets(stderr.trim() || messageOf(error), this.#address)}`));
      });
      // A git that ended before it read shows in its exit code.
      child.stdin?.on("error", () => undefined);
      child.stdin?.end(input ?? "");
    });
  }
}

const SAFE_SETTINGS = [
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "protocol.ext.allow=never",
  "commit.gpgSign=false",
  "gc.auto=0",
  "push.gpgSign=false",
].flatMap((setting) => ["-c", setting]);

/** The operator's own, without what would point git at another repository; it never waits for somebody to type. */
function environment(own: Readonly<NodeJS.ProcessEnv>): NodeJS.ProcessEnv {
  const kept = Object.entries(own).filter(([name]) => !name.startsWith("GIT_") || name.startsWith("GIT_SSH"));
  return {
    GIT_SSH_COMMAND: "ssh -oBatchMode=yes",
    ...Object.fromEntries(kept),
    GIT_TERMINAL_PROMPT: "0",
    GIT_AUTHOR_NAME: "cofferdam",
    GIT_AUTHOR_EMAIL: "cofferdam@localhost",
    GIT_COMMITTER_NAME: "cofferdam",
    GIT_COMMITTER_EMAIL: "cofferdam@localhost",
    LC_ALL: "C",
  };
}

function withoutSecrets(message: string, address: string): string {
  return message.replaceAll(address, withoutCredentials(address)).replaceAll("\n", "; ").slice(0, 500);
}
