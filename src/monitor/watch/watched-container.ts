/** One container under watch: its programs, what the rules say of its events, what is remembered as evidence. No I/O but looks. */
import type { Clock, JsonValue } from "../../foundation/index.ts";
import type { Observation } from "../baseline/observation.ts";
import type { LossEvent, ProcessEvent } from "../event.ts";
import { type ContainerCgroup, processesOf } from "../response/container-cgroup.ts";
import { nameOf, type ProgramFacts } from "../rules/program.ts";
import { JobPrograms } from "../rules/programs.ts";
import type { Match, RuleSet } from "../rules/rule-set.ts";
import type { RuleAction } from "../rules/schema.ts";
import { type ProcProcess, readProcess } from "../survey/proc-process.ts";
import { Survey, type SurveyFinding } from "../survey/survey.ts";
import { RecentEvents } from "./recent-events.ts";
import { Repeats } from "./repeats.ts";
import { type Talker, Talkers } from "./talkers.ts";
import { lineEvidence, type MonitorNote, type MonitorThreat, subjectOf, type ThreatSeverity } from "./threat.ts";

export interface WatchedParts {
  readonly containerId: string;
  readonly jobId: string;
  readonly cgroup: ContainerCgroup;
  /** One after the other; the second are those of this container alone. */
  readonly rules: readonly RuleSet[];
  readonly cooldown: number;
  readonly clock: Clock;
  readonly mask: (text: string) => string;
  readonly hashOf: (program: ProgramFacts) => string | undefined;
  readonly observation: Observation | undefined;
  /** That its baseline had learnt from as the watch began; undefined without one. */
  readonly baselineRuns: number | undefined;
}

/** What came of watching a container. */
export interface MonitoringSummary {
  readonly events: number;
  /** That nobody saw, as far as it is known whose they were. */
  readonly lost: number;
  /** Threats by their number of times: all of them, also those that were not told again. */
  readonly threats: readonly { readonly type: string; readonly severity: ThreatSeverity; readonly times: number }[];
  readonly notes: readonly MonitorNote[];
  /** Different notes that were too many to be kept. */
  readonly moreNotes: number;
  /** Different programs that ran. */
  readonly programs: number;
  /** Who made its connections, for whoever saw the ports; the newest of them. */
  readonly talkers: readonly Talker[];
  /** Runs that it was compared with; undefined where there is no baseline. */
  readonly baselineRuns: number | undefined;
}

interface Told {
  readonly threat: MonitorThreat;
  readonly key: string;
}

const MAX_NOTES = 200;
/** Different threats that are told of one container. Past them only the first of each kind within the cooldown is. */
const MANY = 200;
const MAX_TOLD = 5000;
const MAX_PROGRAMS = 10_000;

export class WatchedContainer {
  readonly parts: WatchedParts;
  readonly programs: JobPrograms = new JobPrograms();
  readonly #judges: readonly ((event: ProcessEvent) => readonly Match[])[];
  readonly #survey: Survey;
  readonly #repeats: Repeats;
  readonly recent: RecentEvents = new RecentEvents();
  readonly #told: Told[] = [];
  readonly #notes = new Map<string, MonitorNote>();
  readonly #ran = new Set<string>();
  readonly #talkers = new Talkers();
  #moreNotes = 0;
  #events = 0;
  #lost = 0;
  /** Processes that are known by name alone, as far as it was told. */
  #nameless = 0;
  #checked = 0;

  constructor(parts: WatchedParts) {
    this.parts = parts;
    this.#judges = parts.rules.map((rules) => rules.forJob(this.programs, parts.clock));
    const there = processesOf(parts.cgroup).flatMap((pid) => readProcess(pid) ?? []);
    for (const process of there) this.programs.ranBefore(programOf(process));
    this.#survey = new Survey(this.programs, there);
    this.#repeats = new Repeats(parts.cooldown);
  }

  /** @returns threats that are to be told. */
  take(event: ProcessEvent): readonly MonitorThreat[] {
    this.#events++;
    this.programs.take(event);
    this.#survey.take(event);
    this.parts.observation?.take(event, this.programs);
    this.recent.add(event);
    const program = this.programs.get(event.actor.key);
    this.#talkers.take(event, program);
    if (event.kind === "exec" && this.#ran.size < MAX_PROGRAMS) this.#ran.add(event.program.path);
    const found = this.#judges.flatMap((judge) => judge(event)).flatMap((match) => this.#matched(match, event, program));
    return this.programs.forgotten.running === this.#nameless ? found : [...found, ...this.#forgot()];
  }

  lose({ count, where }: LossEvent): readonly MonitorThreat[] {
    this.#lost += count;
    const said = { title: "what a job did was not seen", message: `${count} events were lost (${where})`, attack: ["T1562"] };
    return this.#tell("events-lost", "medium", said, "events-lost", []);
  }

  /** Nobody looked for a while. */
  missed(ms: number, why: string): readonly MonitorThreat[] {
    const said = { title: "nobody watched for a while", message: `for ${Math.round(ms)} ms nobody watched: ${why}`, attack: ["T1562"] };
    return this.#tell("sensor-gap", "medium", said, "sensor-gap", []);
  }

  /** What rules know of processes that run became less. */
  #forgot(): readonly MonitorThreat[] {
    this.#nameless = this.programs.forgotten.running;
    const message = `${this.#nameless} processes that run are known by name alone: they are more than can be remembered`;
    return this.#tell("programs-forgotten", "medium", { title: "more runs than can be remembered", message, attack: ["T1562"] }, "programs-forgotten", []);
  }

  /** Nobody could watch it for so long that it cannot stand there any longer without an answer. */
  unwatchable(ms: number, why: string): readonly MonitorThreat[] {
    const said = {
      title: "nobody can watch it",
      message: `it stood still for ${Math.round(ms / 1000)} s and still nobody can watch it: ${why}`,
      attack: ["T1562"],
    };
    return this.#tell("sensor-lost", "high", said, "sensor-lost", []);
  }

  /** Looks at processes of it. @param complete whether every event of theirs was told. */
  look(pids: readonly number[], complete: boolean): readonly MonitorThreat[] {
    const findings = this.#survey.look(pids, complete, this.parts.clock.monotonic());
    return findings.flatMap((finding) => this.#found(finding));
  }

  /** Told since the last time that this was asked, with how often each came until now. */
  sinceLast(): readonly MonitorThreat[] {
    const fresh = this.#told.slice(this.#checked);
    this.#checked = this.#told.length;
    return fresh.map(({ threat, key }) => ({ ...threat, details: { ...threat.details, times: this.#repeats.times(key) } }));
  }

  get lost(): number {
    return this.#lost;
  }

  summary(): MonitoringSummary {
    const threats = new Map(this.#told.map(({ threat: { type, severity }, key }) => [key, { type, severity, times: this.#repeats.times(key) }]));
    const { finished } = this.programs.forgotten;
    const message = "of what ended, and of files, it was forgotten who they were and who wrote them: more than can be remembered";
    const forgotten = finished === 0 ? [] : [{ rule: "programs-forgotten", message, times: finished }];
    return {
      ...{ events: this.#events, lost: this.#lost, threats: [...threats.values()], notes: [...this.#notes.values(), ...forgotten] },
      ...{ moreNotes: this.#moreNotes, programs: this.#ran.size, talkers: this.#talkers.all(), baselineRuns: this.parts.baselineRuns },
    };
  }

  /** A threat that something else found: what is off the baseline. */
  anomaly(type: string, severity: ThreatSeverity, message: string, program: ProgramFacts | undefined): readonly MonitorThreat[] {
    const said = { title: "not what this job usually does", message, attack: [] };
    return this.#tell(type, severity, said, `${type} ${message}`, lineEvidence(program, this.parts.hashOf), { anomaly: true });
  }

  #matched({ rule, message, excepted }: Match, event: ProcessEvent, program: ProgramFacts | undefined): readonly MonitorThreat[] {
    const text = this.parts.mask(message);
    if (rule.severity === "note" || excepted !== undefined) return this.#note(rule.id, text, excepted?.reason);
    const key = `${rule.id} ${program?.program?.path ?? ""}`;
    const said = {
      title: rule.title,
      message: text,
      attack: [...rule.attack],
      ...subjectOf(event),
      process: nameOf(program ?? { program: undefined, args: [] }),
    };
    return this.#tell(rule.id, rule.severity, said, key, lineEvidence(program, this.parts.hashOf), { action: rule.action });
  }

  #found({ type, severity, title, attack, message, process, program }: SurveyFinding): readonly MonitorThreat[] {
    const said = { title, message: this.parts.mask(message), attack: [...attack], pid: process.pid };
    return this.#tell(type, severity, said, `${type} ${process.key}`, lineEvidence(program, this.parts.hashOf));
  }

  #masked(value: JsonValue): JsonValue {
    return JSON.parse(JSON.stringify(value, (_, one: unknown) => (typeof one === "string" ? this.parts.mask(one) : one)));
  }

  #note(rule: string, message: string, excepted: string | undefined): readonly [] {
    const known = this.#notes.get(`${rule} ${excepted ?? ""}`);
    if (known === undefined && this.#notes.size >= MAX_NOTES) this.#moreNotes++;
    // The first message stands for all: the number says how many there were.
    else this.#notes.set(`${rule} ${excepted ?? ""}`, { rule, message: known?.message ?? message, times: (known?.times ?? 0) + 1, excepted });
    return [];
  }

  #tell(
    type: string,
    severity: ThreatSeverity,
    details: MonitorThreat["details"],
    about: string,
    evidence: MonitorThreat["evidence"],
    { anomaly = false, action }: { readonly anomaly?: boolean; readonly action?: RuleAction | undefined } = {},
  ): readonly MonitorThreat[] {
    const { containerId, jobId, clock } = this.parts;
    const now = clock.now();
    // Each is written to disks: a job that makes new ones without end must not keep the host at it.
    const key = this.#told.length < MANY || this.#repeats.times(about) > 0 ? about : type;
    if (!this.#repeats.add(key, now)) return [];
    const threat: MonitorThreat = {
      ...(action === undefined ? {} : { action }),
      ...{ type, severity, anomaly, timestamp: new Date(now).toISOString(), source: "monitor", containerId, jobId },
      details: { ...Object.fromEntries(Object.entries(details).map(([name, one]) => [name, this.#masked(one)])), times: this.#repeats.times(key) },
      evidence: evidence.map((one) => this.#masked(one)),
      recommendedAction: anomaly ? "compare it with what was changed in the job" : "look at the line of processes; an exception is written as in docs/rules.md",
    };
    if (this.#told.length < MAX_TOLD) this.#told.push({ threat, key });
    return [threat];
  }
}

function programOf({ key, pid, insidePid, ppid, exe, args, cwd, uid }: ProcProcess): ProgramFacts {
  const unknown = {
    cut: false,
    id: "",
    type: "file",
    mode: 0,
    uid: 0,
    size: 0,
    mtime: 0,
    ctime: 0,
    unlinked: false,
    anonymous: false,
    fresh: undefined,
  } as const;
  const program = exe === undefined ? undefined : { ...unknown, path: exe };
  return { key, pid, insidePid, ppid, program, asked: "", args, cwd: cwd ?? "", uid, since: 0, from: undefined };
}
