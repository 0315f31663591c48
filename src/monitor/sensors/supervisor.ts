/**
 * Keeps a sensor at work: starts it, tells it every watch, starts it again when it ends, and takes the next best where the
 * kernel wants no more. Whatever it cannot see is said: a status for what is missing, a gap for the time nobody looked.
 */
import { constants } from "node:os";
import { getSystemErrorMessage } from "node:util";
import type { SensorSource, SensorStatus } from "../event.ts";
import { AT, KIND, PART, SensorRecord } from "../reader/record.ts";
import { addSensitiveFiles } from "./audit-names.ts";
import { Audited } from "./audited.ts";
import { Connector, type ConnectorEvent, type ConnectorOptions } from "./connector.ts";
import { readCounters, type WatchCounters } from "./counters.ts";
import type { Refusal, ThreadData, WatchOrder } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import { RestartPauses } from "./restart-pauses.ts";
import { type Ended, SensorProcess } from "./sensor-process.ts";

/** Watches at a time: places in the kernel's table (MAX_JOBS). */
const MAX_WATCHES = 4096;
const LOOK_MS = 1000;
/** Looks in a row without a word before it counts as stuck: it says something twice a second. */
const SILENT_LOOKS = 5;
/** The same before its first word: a busy machine takes its time to load the program. */
const LOADING_LOOKS = 30;
/** Starts in a row that led to nothing, after which the next best is taken. */
const MAX_FAILURES = 3;
const FLAG_ENV = 1;

interface Placed {
  readonly order: WatchOrder;
  readonly place: number;
  counters: WatchCounters | undefined;
}

export class Supervisor {
  readonly #data: ThreadData;
  readonly #outbox: Outbox;
  readonly #placed = new Map<number, Placed>();
  readonly #free: number[] = [];
  #highest = 0;
  #sensor: SensorProcess | undefined;
  #source: SensorSource;
  readonly #connector: Connector;
  readonly #audited: Audited;
  #overruns = 0;
  #ready = false;
  /** Why nobody looks, since when it is so. */
  #why: string | undefined;
  /** Why it is no better source. */
  readonly #refusals: string[] = [];
  #clockOffset = 0n;
  #lastSign = Date.now();
  readonly #pauses = new RestartPauses();
  #again: NodeJS.Timeout | undefined;
  readonly #look: NodeJS.Timeout;
  #failures = 0;
  #silent = 0;
  #heardBefore = 0;
  #closing: (() => void) | undefined;

  constructor(data: ThreadData, outbox: Outbox) {
    this.#data = data;
    this.#outbox = outbox;
    this.#source = data.sources[0] ?? "connector";
    const loss: ConnectorOptions["loss"] = (id, where, count) => outbox.tell({ type: "loss", id, where, count });
    const event = (id: number, one: ConnectorEvent): void => {
      if (!outbox.event({ type: "event", id, event: one })) loss(id, "reader", 1);
    };
    const clockOffset = (): bigint => this.#clockOffset;
    this.#connector = new Connector({ event, loss, clockOffset });
    this.#audited = new Audited({
      members: this.#connector,
      record: (bytes) => outbox.record(bytes),
      program: event,
      broken: (watch) => loss(watch, "reader", 1),
      clockOffset,
    });
    this.#look = setInterval(() => this.#lookAtSensor(), LOOK_MS);
    this.#start();
  }

  /** Wall time minus the boot clock, ns. */
  get clockOffset(): bigint {
    return this.#clockOffset;
  }

  async watch(order: WatchOrder): Promise<void> {
    const place = this.#free.pop() ?? this.#highest++;
    if (place >= MAX_WATCHES) {
      this.#highest--;
      this.#outbox.tell({ type: "watched", id: order.id, error: { code: "RESOURCE_EXHAUSTED", message: `${MAX_WATCHES} containers are watched already` } });
      return;
    }
    const placed: Placed = { order, place, counters: undefined };
    this.#placed.set(order.id, placed);
    const error = this.#ready ? await this.#order(placed) : undefined;
    if (error !== undefined) this.#forget(placed);
    this.#outbox.tell({ type: "watched", id: order.id, error });
  }

  async unwatch(id: number): Promise<void> {
    const placed = this.#placed.get(id);
    if (placed === undefined) return;
    const sensor = this.#ready ? this.#sensor : undefined;
    if (sensor !== undefined) await sensor.order(`unwatch ${placed.place}`);
    this.#connector.unwatch(id);
    this.#forget(placed);
    this.#outbox.tell({ type: "unwatched", id, error: undefined });
  }

  /** @returns when everything that happened before the call is queued, as far as the sensor lives. */
  async sync(): Promise<void> {
    if (this.#ready) await this.#sensor?.order("sync");
  }

  async close(): Promise<void> {
    clearInterval(this.#look);
    clearTimeout(this.#again);
    const sensor = this.#sensor;
    if (sensor === undefined) return;
    await new Promise<void>((resolve) => {
      this.#closing = resolve;
      sensor.kill("closed");
    });
  }

  #forget(placed: Placed): void {
    if (this.#placed.delete(placed.order.id)) this.#free.push(placed.place);
  }

  /** @returns why the sensor did not take it. */
  async #order({ order, place }: Placed): Promise<Refusal | undefined> {
    if (this.#source === "connector") this.#connector.watch(order);
    const flags = order.env ? FLAG_ENV : 0;
    const answer = await this.#sensor?.order(`watch ${order.id} ${place} ${order.pidns} ${order.mntns} ${order.rate} ${flags} ${order.pid}`);
    if (answer === 0 && this.#source === "audit") {
      // What its processes did before came before the answer.
      this.#connector.watch(order);
      await this.#addSensitiveFiles(order);
    }
    // One that ended is told everything again when it is back.
    if (answer === undefined || answer <= 0) return undefined;
    this.#connector.unwatch(order.id);
    if (answer === constants.errno.EEXIST) return { code: "CONFLICT", message: "a container with these namespaces is watched already" };
    return { code: "INTERNAL", message: `the sensor does not take the watch: ${getSystemErrorMessage(-answer)}` };
  }

  async #addSensitiveFiles({ id, pid }: WatchOrder): Promise<void> {
    const sensor = this.#sensor?.pid;
    const names = this.#data.sensitive.map(({ name, as }) => `${as} ${name}`);
    // Without them their reading goes by unseen.
    if (sensor !== undefined && !(await addSensitiveFiles(this.#data.program, sensor, pid, id, names)))
      this.#outbox.tell({ type: "loss", id, where: "untracked", count: 1 });
  }

  #start(): void {
    this.#pauses.started();
    this.#overruns = 0;
    this.#silent = this.#heardBefore = 0;
    this.#connector.clear();
    this.#sensor = new SensorProcess({
      program: this.#data.program,
      source: this.#source,
      greeted: (note) => void this.#greeted(note),
      records: (records) => this.#take(records),
      ended: (end) => this.#ended(end),
    });
  }

  async #greeted(note: string): Promise<void> {
    const sensor = this.#sensor;
    if (sensor === undefined) return;
    if (this.#source !== "connector") for (const { name, as } of this.#data.sensitive) void sensor.order(`name ${as} ${name}`);
    this.#ready = true;
    this.#failures = 0;
    const placed = [...this.#placed.values()];
    const errors = await Promise.all(placed.map((one) => this.#order(one)));
    if (this.#sensor !== sensor) return;
    let why = this.#why;
    this.#why = undefined;
    for (const [at, error] of errors.entries()) {
      const one = placed[at];
      if (one === undefined) continue;
      one.counters = undefined;
      if (error !== undefined) why = `${why ?? "the sensor was started again"}; watch ${one.order.id}: ${error.message}`;
    }
    if (why !== undefined && placed.length > 0) {
      this.#outbox.tell({ type: "gap", gap: { kind: "gap", from: this.#lastSign, to: Date.now(), why } });
    }
    this.#lastSign = Date.now();
    this.#tellStatus(note);
  }

  #take(records: readonly Buffer[]): void {
    for (const bytes of records) {
      const kind = bytes.readUInt16LE(AT.kind);
      if (kind === KIND.pulse || kind === KIND.hello) this.#setClock(bytes, kind === KIND.pulse);
      else if (kind === KIND.counters) this.#count(new SensorRecord(bytes));
      else if (this.#source === "connector" && kind !== KIND.call) this.#connector.take(bytes);
      else if (this.#source === "audit") this.#audited.take(bytes);
      else this.#outbox.record(bytes);
    }
    this.#outbox.flush();
    if (this.#outbox.full) this.#sensor?.pause();
  }

  /** The other side dealt with so many bytes. */
  done(bytes: number): void {
    this.#outbox.done(bytes);
    if (!this.#outbox.full) this.#sensor?.resume();
  }

  #setClock(bytes: Buffer, isPulse: boolean): void {
    this.#clockOffset = bytes.readBigUInt64LE(AT.args + 8) - bytes.readBigUInt64LE(AT.time);
    this.#lastSign = Date.now();
    if (!isPulse) return;
    const overruns = Number(bytes.readBigUInt64LE(AT.args));
    if (overruns > this.#overruns) this.#outbox.tell({ type: "loss", id: undefined, where: "ring", count: overruns - this.#overruns });
    this.#overruns = overruns;
  }

  #count(record: SensorRecord): void {
    const placed = this.#placed.get(record.watch);
    const content = record.part(PART.counters);
    if (placed === undefined || content === undefined) return;
    const now = readCounters(content);
    for (const where of ["budget", "ring", "untracked"] as const) {
      const count = now[where] - (placed.counters?.[where] ?? 0);
      if (count > 0) this.#outbox.tell({ type: "loss", id: record.watch, where, count });
    }
    placed.counters = now;
  }

  #ended(end: Ended): void {
    this.#sensor = undefined;
    this.#ready = false;
    if (this.#closing !== undefined) {
      this.#closing();
      return;
    }
    const sentence = `the sensor ended: ${end.why}`;
    this.#why ??= sentence;
    if (!end.greeted) this.#failures++;
    if (!end.greeted && (end.unfit || this.#failures >= MAX_FAILURES)) {
      if (!this.#refusals.includes(end.why)) this.#refusals.push(end.why);
      const next = this.#data.sources[this.#data.sources.indexOf(this.#source) + 1];
      if (next === undefined) {
        this.#tellAbsent(this.#refusals.join("; "));
        return;
      }
      this.#source = next;
      this.#failures = 0;
      this.#start();
      return;
    }
    this.#tellAbsent(`${sentence}; it is started again`);
    this.#again = setTimeout(() => this.#start(), this.#pauses.next());
  }

  /** Once a second: one that says nothing for long is ended, which starts it again. */
  #lookAtSensor(): void {
    this.#outbox.tell({ type: "alive" });
    const sensor = this.#sensor;
    if (sensor === undefined) return;
    this.#silent = sensor.heard === this.#heardBefore ? this.#silent + 1 : 0;
    this.#heardBefore = sensor.heard;
    if (sensor.paused || this.#silent < (this.#ready ? SILENT_LOOKS : LOADING_LOOKS)) return;
    sensor.kill(this.#ready ? "it said nothing for five seconds" : "it did not begin within thirty seconds");
  }

  #tellStatus(note: string): void {
    const why = [...this.#refusals, note].filter((one) => one !== "").join("; ");
    if (this.#source === "ebpf") this.#status("watching", "ebpf", why === "" ? undefined : why);
    else this.#status("degraded", this.#source, `${SAYS[this.#source]}${why === "" ? "" : `: ${why}`}`);
  }

  #tellAbsent(why: string): void {
    this.#status("absent", "none", why);
  }

  #status(state: SensorStatus["state"], source: SensorStatus["source"], why: string | undefined): void {
    this.#outbox.tell({ type: "status", status: { kind: "status", time: Date.now(), state, source, why, lacks: LACKS[source] } });
  }
}

const SAYS: Readonly<Record<Exclude<SensorSource, "ebpf">, string>> = {
  audit: "by the kernel's audit alone",
  connector: "by the process connector alone",
};

/** What nobody sees, by source. */
const LACKS: Readonly<Record<SensorStatus["source"], readonly string[]>> = {
  ebpf: [],
  audit: [
    "reads of sensitive names that were not there at the beginning",
    "accept, dup and what is sent",
    "sockets and files by descriptor",
    "whether files are new since the image",
    "streams of programs that end before they are looked up",
  ],
  connector: [
    "files",
    "every call but those that begin, run and end programs",
    "who connects, and what is refused or asked of a name server",
    "what programs are that end before they are looked up (each is counted as lost)",
  ],
  none: ["everything"],
};
