/** The client in its box: what the box is made from, and the gate that it talks to. */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { CofferdamError } from "../../foundation/index.ts";
import type { NpmLockfile } from "../../inventory/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import { type BoxRequest, userNamespacesWork, type WaitingBox } from "../box/box.ts";
import type { ClientSetup } from "../client/setup.ts";
import {
  DEFAULT_GATE_LIMITS,
  Gate,
  type GateLimits,
  type GateRefusal,
  type TarballSource,
  type TarballStore,
  type Upstream,
  type WantedTarball,
} from "../gate/index.ts";
import { verdictOf } from "../judge/rules.ts";
import type { InstallAdvisories } from "./advisories.ts";
import { clientBox, generatedNpmrc, viewOf } from "./client-box.ts";
import type { ClientCommand } from "./command.ts";
import type { Project } from "./project.ts";
import type { InstallFinding } from "./result.ts";
import type { RunFolder } from "./run-folder.ts";

export interface GuardedClientParts {
  readonly cwd: string;
  readonly policy: EffectivePolicy;
  readonly bubblewrap: string | undefined;
  readonly command: ClientCommand;
  readonly project: Project;
  readonly setup: ClientSetup;
  readonly run: RunFolder;
  readonly store: TarballStore;
  readonly upstream: Upstream;
  readonly source: TarballSource;
  readonly limits: GateLimits;
  readonly signal: AbortSignal;
  readonly onOutput: ((text: string) => void) | undefined;
  /** Records what the gate refused. */
  readonly refused: (refusal: GateRefusal) => Promise<void>;
}

export class GuardedClient {
  readonly #parts: GuardedClientParts;
  /** Of this run alone: what the client shows to the gate instead of the user's credentials. */
  readonly #token: string = randomBytes(32).toString("hex");

  constructor(parts: GuardedClientParts) {
    this.#parts = parts;
  }

  /**
   * @param findings of the judgement: without a box, some of them cannot be let pass.
   * Throws ENVIRONMENT_UNFIT where the level needs more of a box than can be made here, SECURITY_VIOLATION.
   */
  async prepare(wanted: readonly WantedTarball[], before: NpmLockfile | undefined, findings: readonly InstallFinding[]): Promise<BoxRequest> {
    const { command, project, setup, cwd, run, store, signal, onOutput } = this.#parts;
    const bubblewrap = this.#bubblewrap(findings);
    const parts = {
      ...{ client: setup.client, command, project, cwd, run, bubblewrap, signal },
      contentRoot: store.contentRoot,
      userns: await this.#userns(bubblewrap),
      packages: before?.packages ?? [],
      npmrcPresent: setup.npmrc.project !== undefined,
      ...(onOutput === undefined ? {} : { onOutput }),
    };
    const view = viewOf(parts);
    const box = clientBox(parts);
    mkdirSync(store.contentRoot, { recursive: true, mode: 0o700 });
    run.writeLinks(
      wanted.flatMap((one) => one.integrity ?? []),
      view.cache,
      view.content,
    );
    run.writeNpmrc("", box.owner);
    if (box.owner !== undefined) run.giveCache(box.owner);
    return box;
  }

  /** Opens the gate at the box's door, and tells the client where it is. */
  serve(waiting: WaitingBox, judged: readonly WantedTarball[], owner: { uid: number; gid: number } | undefined, advisories: InstallAdvisories): Gate {
    const { setup, upstream, source, command, limits, run, signal, refused } = this.#parts;
    const gate = new Gate({
      ...{ registries: setup.registries, upstream, source, judged, token: this.#token, signal, refused },
      metadata: command.verb === "ci" ? "judged" : "upstream",
      admit: (wanted) => {
        this.#admit(wanted);
        advisories.admit(wanted.name, wanted.version);
      },
      maxMetadataBytes: limits.maxMetadataBytes,
    });
    const { project, trusted } = setup.npmrc;
    // npm's order: command line, environment, then the project's file, then the user's and the machine's.
    const files = [...trusted.slice(0, 2), ...(project === undefined ? [] : [project]), ...trusted.slice(2)];
    const scopes = setup.registries.all.flatMap((registry) => registry.scopes);
    run.writeNpmrc(generatedNpmrc(files, scopes, waiting.port, this.#token), owner);
    gate.serve(waiting.door);
    return gate;
  }

  /** A version that no lockfile names yet: the registry's metadata must at least promise a strong hash. */
  #admit(wanted: WantedTarball): void {
    if (this.#parts.command.verb === "ci") throw new CofferdamError("SECURITY_VIOLATION", `${wanted.name}@${wanted.version} is not in the judged lockfile`);
    const rule = wanted.integrity === undefined ? "missing-hash" : wanted.integrity.startsWith("sha1-") ? "weak-hash" : undefined;
    if (rule === undefined) return;
    const subject = `${wanted.name}@${wanted.version}`;
    const { policy } = this.#parts;
    if (verdictOf(rule, policy.values.level) !== "deny" || policy.allowance(`${rule} ${subject}`) !== undefined) return;
    throw new CofferdamError("SECURITY_VIOLATION", `${subject}: the registry promises ${rule === "missing-hash" ? "no hash" : "only a sha1 hash"}`);
  }

  #bubblewrap(findings: readonly InstallFinding[]): string | undefined {
    const { bubblewrap, policy } = this.#parts;
    if (bubblewrap !== undefined) return bubblewrap;
    if (policy.values.level !== "low") {
      throw new CofferdamError("ENVIRONMENT_UNFIT", "bubblewrap is not installed, and the client must run in a box at this level", {
        hint: "apt-get install bubblewrap, or --level low (unboxed, and said so)",
      });
    }
    const refused = findings.find((finding) => finding.code === "npmrc-key");
    if (refused !== undefined) throw new CofferdamError("SECURITY_VIOLATION", `without a box npm would obey ${refused.subject} in the project's .npmrc`);
    return undefined;
  }

  /** Only root can make a box without a user namespace; for everybody else bubblewrap itself says what is wrong. */
  async #userns(bubblewrap: string | undefined): Promise<boolean> {
    if (bubblewrap === undefined || process.getuid?.() !== 0 || (await userNamespacesWork(bubblewrap))) return true;
    const { level } = this.#parts.policy.values;
    if (level === "low" || level === "medium") return false;
    throw new CofferdamError("ENVIRONMENT_UNFIT", `no user namespace can be made here, and level ${level} needs one around the client`, {
      hint: "cofferdam doctor",
    });
  }
}

/** What the policy allows, on top of what the gate always bounds. */
export function gateLimits(policy: EffectivePolicy): GateLimits {
  return {
    ...DEFAULT_GATE_LIMITS,
    maxTarballBytes: policy.values["limits.tarball"],
    maxUnpackedBytes: policy.values["limits.unpacked"],
    maxEntries: policy.values["limits.entries"],
    totalTimeout: policy.values["limits.timeout"],
    concurrency: policy.values["limits.concurrency"],
  };
}
