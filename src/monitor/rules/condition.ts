/**
 * Conditions as functions. A condition is a map: a field and what it must be, or one of the words
 *
 *   all, any    lists of conditions           not         a condition
 *   is          conditions by their names     parent      a condition on the program that it came from
 *   ancestor    on any program before it      writer      on what wrote the file: the program's own, of a program; else the event's
 *   input-from  on what writes its input      output-to   on what reads its output
 *   input-held-by  on what made it, where nobody's output is its input      connected   whether it had a connection to elsewhere
 *
 * All entries of a map must hold. What is not known satisfies no condition.
 */
import type { ProcessEventKind } from "../event.ts";
import { EVENT_FIELDS, type Field, fieldOf, PROGRAM_FIELDS, type Subject } from "./fields.ts";
import { addressTest, flagTest, hintOf, type Lists, numberTest, textTest, wrong } from "./match.ts";
import { type JobProcesses, lineOf, type ProgramFacts } from "./program.ts";

export type Condition = Readonly<Record<string, unknown>>;
export type Test = (subject: Subject) => boolean;

/** What conditions can refer to. */
export interface Vocabulary {
  readonly lists: Lists;
  /** Conditions on programs, by name: `is: NAME`. */
  readonly conditions: ReadonlyMap<string, Condition>;
}

interface ProgramSubject {
  readonly program: ProgramFacts;
  readonly processes: JobProcesses;
}

/** Where one stands, and how deep. */
interface Place {
  readonly where: string;
  readonly depth: number;
}

const MAX_DEPTH = 12;

/** Throws INVALID_ARGUMENT: an unknown field, one that these events do not have, or a comparison that makes no sense. */
export function compileCondition(condition: Condition, kinds: readonly ProcessEventKind[], words: Vocabulary, where: string): Test {
  return compile<Subject>(
    condition,
    { where, depth: 0 },
    {
      words,
      field(name, at) {
        const field = EVENT_FIELDS.get(name);
        if (field === undefined) throw unknownField(name, [...EVENT_FIELDS.keys()], at);
        const lacking = kinds.find((kind) => field.kinds !== undefined && !field.kinds.has(kind));
        if (lacking !== undefined) throw wrong(at, `an event of kind ${lacking} has no ${name}`);
        return field;
      },
      program: (subject) => (subject.program === undefined ? undefined : { program: subject.program, processes: subject.processes }),
      writer({ event, processes, program }) {
        if (event.kind === "exec") return writerOf(program, processes);
        const file = "file" in event ? event.file : undefined;
        return file !== undefined && "id" in file ? at(processes.writerOf(file.id), processes) : undefined;
      },
    },
  );
}

/** Of programs alone: what `is`, `parent`, `ancestor` and `writer` take. */
export function compileProgramCondition(condition: Condition, words: Vocabulary, where: string, depth = 0): (subject: ProgramSubject) => boolean {
  return compile<ProgramSubject>(
    condition,
    { where, depth },
    {
      words,
      field(name, at) {
        const field = PROGRAM_FIELDS.get(name);
        if (field === undefined) throw unknownField(name, [...PROGRAM_FIELDS.keys()], at);
        return fieldOf(field, ({ program }) => program);
      },
      program: (subject) => subject,
      writer: ({ program, processes }) => writerOf(program, processes),
    },
  );
}

/** What differs between conditions on events and on programs. */
interface Dialect<S> {
  readonly words: Vocabulary;
  readonly field: (name: string, where: string) => Field<S>;
  readonly program: (subject: S) => ProgramSubject | undefined;
  readonly writer: (subject: S) => ProgramSubject | undefined;
}

function compile<S>(condition: unknown, place: Place, dialect: Dialect<S>): (subject: S) => boolean {
  const { where, depth } = place;
  if (depth > MAX_DEPTH) throw wrong(where, `conditions in more than ${MAX_DEPTH} others`);
  const entries = Object.entries(asMap(condition, where));
  if (entries.length === 0) throw wrong(where, "an empty condition");
  return every(entries.map(([key, want]) => compileEntry(key, want, { where: `${where}.${key}`, depth: depth + 1 }, dialect)));
}

function compileEntry<S>(key: string, want: unknown, place: Place, dialect: Dialect<S>): (subject: S) => boolean {
  const { where, depth } = place;
  const { words } = dialect;
  const onPrograms = (): ((subject: ProgramSubject) => boolean) => compileProgramCondition(asMap(want, where), words, where, depth);
  switch (key) {
    case "all":
      return every(listOf(want, where).map((one) => compile(one, place, dialect)));
    case "any": {
      const tests = listOf(want, where).map((one) => compile(one, place, dialect));
      return (subject) => tests.some((test) => test(subject));
    }
    case "not": {
      const test = compile(want, place, dialect);
      return (subject) => !test(subject);
    }
    case "is": {
      const tests = namesOf(want, where).map((name) => {
        const named = words.conditions.get(name);
        if (named === undefined) throw wrong(where, `no condition ${name}`, hintOf(name, [...words.conditions.keys()]));
        return compileProgramCondition(named, words, `conditions.${name}`, depth);
      });
      return of(dialect.program, (subject) => tests.some((test) => test(subject)));
    }
    case "parent": {
      const test = onPrograms();
      return of(dialect.program, ({ program: { from }, processes }) => from !== undefined && test({ program: from, processes }));
    }
    case "ancestor": {
      const test = onPrograms();
      return of(dialect.program, ({ program: { from }, processes }) => {
        for (const program of from === undefined ? [] : lineOf(from)) if (test({ program, processes })) return true;
        return false;
      });
    }
    case "writer":
      return of(dialect.writer, onPrograms());
    case "input-from":
      return anyOf(dialect, onPrograms(), ({ program, processes }) => processes.feedersOf(program.key));
    case "output-to":
      return anyOf(dialect, onPrograms(), ({ program, processes }) => processes.readersOf(program.key));
    case "input-held-by":
      return anyOf(dialect, onPrograms(), ({ program, processes }) => [processes.makerOf(program.key)].filter((one) => one !== undefined));
    case "connected": {
      const test = flagTest(want, where);
      return of(dialect.program, ({ program, processes }) => test(processes.connected(program.key)));
    }
    default:
      return fieldTest(dialect.field(key, where), want, words.lists, where);
  }
}

function fieldTest<S>(field: Field<S>, want: unknown, lists: Lists, where: string): (subject: S) => boolean {
  switch (field.type) {
    case "text":
      return of(field.read, textTest(want, lists, where));
    case "number":
      return of(field.read, numberTest(want, where));
    case "flag":
      return of(field.read, flagTest(want, where));
    case "address":
      return of(field.read, addressTest(want, lists, where));
    case "texts": {
      const test = textTest(want, lists, where);
      return of(field.read, (values) => values.some(test));
    }
  }
}

/** Of others of the same job: one of them is enough. */
function anyOf<S>(
  { program }: Dialect<S>,
  test: (subject: ProgramSubject) => boolean,
  others: (subject: ProgramSubject) => readonly ProgramFacts[],
): (subject: S) => boolean {
  return of(program, (subject) => others(subject).some((one) => test({ program: one, processes: subject.processes })));
}

/** False where it is not known. */
function of<S, V>(read: (subject: S) => V | undefined, test: (value: V) => boolean): (subject: S) => boolean {
  return (subject) => {
    const value = read(subject);
    return value !== undefined && test(value);
  };
}

function every<S>(tests: readonly ((subject: S) => boolean)[]): (subject: S) => boolean {
  const [only] = tests;
  return tests.length === 1 && only !== undefined ? only : (subject) => tests.every((test) => test(subject));
}

function writerOf(program: ProgramFacts | undefined, processes: JobProcesses): ProgramSubject | undefined {
  return program?.program === undefined ? undefined : at(processes.writerOf(program.program.id), processes);
}

function at(program: ProgramFacts | undefined, processes: JobProcesses): ProgramSubject | undefined {
  return program && { program, processes };
}

function asMap(value: unknown, where: string): Condition {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(where, "a condition is a map of fields");
  return Object.fromEntries(Object.entries(value));
}

function listOf(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0) throw wrong(where, "a list of conditions");
  return value;
}

function namesOf(value: unknown, where: string): readonly string[] {
  const names = [value].flat().filter((one) => typeof one === "string");
  if (names.length === 0) throw wrong(where, "the name of a condition, or a list of them");
  return names;
}

function unknownField(name: string, known: readonly string[], where: string): Error {
  return wrong(where, `no field ${name.slice(0, 80)}`, hintOf(name, known));
}
