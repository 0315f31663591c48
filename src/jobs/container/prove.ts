/**
 * The proof: what the kernel shows of a container that stands and has not begun, against what its level asks. Engines accept
 * settings and ignore some, runtimes differ, and an image is a stranger; what counts is /proc and the cgroup's files. It needs
 * root on the machine where the engine runs.
 */
import type { ContainerInspect } from "../../engine/index.ts";
import { CofferdamError, isoTime, systemClock } from "../../foundation/index.ts";
import type { Expected } from "./create-body.ts";
import type { Gate, Probes } from "./gate.ts";
import { type Control, type ControlName, Controls } from "./proof/control.ts";
import { proveMounts } from "./proof/mounts.ts";
import { proveNetwork } from "./proof/network.ts";
import { provePrivileges } from "./proof/privileges.ts";
import { ProcessView } from "./proof/process-view.ts";
import { proveSurroundings } from "./proof/surroundings.ts";

export interface Proof {
  readonly controls: readonly Control[];
  /** What is in force, whether the level asks for it or not: for the score. */
  readonly held: readonly ControlName[];
  /** RFC 3339. */
  readonly at: string;
  /** Who process 1 is, as this host counts: whose the job's secrets become. */
  readonly who: { readonly uid: number; readonly gid: number };
}

export interface ProofInput {
  /** Taken after start. */
  readonly container: ContainerInspect;
  readonly imageId: string;
  readonly expected: Expected;
  readonly shim: Gate["shim"];
  readonly probes: Probes;
  /** Absent: it must have no network at all. */
  readonly network?: ProvenNetwork | undefined;
}

/** The one network that a job has. */
export interface ProvenNetwork {
  /** Of the namespace, as the kernel numbers it. */
  readonly inode: number;
  /** All that its interface may have. */
  readonly addresses: readonly string[];
  /** Where everything goes. */
  readonly gateway: string;
}

/** Compares, and throws nothing for a difference: see {@link requireProof}. Throws SECURITY_VIOLATION when it cannot look. */
export function prove(input: ProofInput): Proof {
  const { container, expected } = input;
  const controls = new Controls();
  const pid = container.State.Pid;
  if (!container.State.Running || pid <= 1) throw new CofferdamError("SECURITY_VIOLATION", "the container does not run: nothing can be proven of it");
  using view = new ProcessView(pid);
  controls.equal("proven-before-start", "image", input.imageId, container.Image);
  controls.equal("proven-before-start", "started by others", "nothing", container.ExecIDs.length === 0 ? "nothing" : `${container.ExecIDs.length} exec`);
  controls.check(
    "proven-before-start",
    "labels",
    "ours",
    sameLabels(container.Config.Labels, expected.labels) ? "ours" : "others",
    sameLabels(container.Config.Labels, expected.labels),
  );
  const program = view.program();
  const isShim = program.dev === input.shim.device && program.ino === input.shim.inode;
  controls.check("proven-before-start", "process 1", "the shim", isShim ? "the shim" : "another program", isShim);
  controls.check(
    "proven-before-start",
    "its number inside",
    "1",
    view.field(view.text("status"), "NSpid").split(" ").at(-1) ?? "",
    / 1$/.test(view.field(view.text("status"), "NSpid")),
  );
  controls.check(
    "proven-before-start",
    "cgroup",
    "named by the container",
    view.text("cgroup").includes(container.Id) ? "named by the container" : "another",
    view.text("cgroup").includes(container.Id),
  );
  provePrivileges(controls, view, expected, input.probes);
  proveMounts(controls, view, expected);
  proveSurroundings(controls, view, expected);
  proveNetwork(controls, view, input.network);
  controls.holds("proven-before-start", true);
  return { controls: controls.all, held: controls.held, at: isoTime(systemClock), who: whoIs(view) };
}

/** The effective ids of `status`. */
function whoIs(view: ProcessView): Proof["who"] {
  const status = view.text("status");
  const [uid, gid] = ["Uid", "Gid"].map((name) => Number(view.field(status, name).split(" ")[1]));
  if (uid === undefined || gid === undefined || !Number.isSafeInteger(uid) || !Number.isSafeInteger(gid))
    throw new CofferdamError("SECURITY_VIOLATION", "nobody knows who process 1 of the container is");
  return { uid, gid };
}

/** Throws SECURITY_VIOLATION that names every control that differs, with what was expected and what was found. */
export function requireProof(proof: Proof): void {
  const failed = proof.controls.filter(({ ok }) => !ok);
  const [first] = failed;
  if (first === undefined) return;
  throw new CofferdamError(
    "SECURITY_VIOLATION",
    `the container is not as it was asked for: ${first.name} (${first.what}): expected ${first.expected}, found ${first.actual}${failed.length > 1 ? ` (and ${failed.length - 1} more)` : ""}`,
    { details: { control: first.name, failed } },
  );
}

function sameLabels(found: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(found);
  return names.length === Object.keys(wanted).length && names.every((name) => Object.hasOwn(wanted, name) && found[name] === wanted[name]);
}
