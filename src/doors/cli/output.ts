/**
 * Where words go: data to stdout, everything else to stderr, progress only to a terminal. Texts from packages, registries
 * and files pass through {@link plain}, so that none of them can move the cursor or recolour what we say.
 */
import { styleText } from "node:util";

export interface Output {
  /** Data: what another program would read. */
  data(text: string): void;
  /** One JSON document, and nothing else, on stdout. */
  json(document: object): void;
  /** Words for the user. */
  note(text: string): void;
  /** What went wrong or was refused: said in quiet mode too. */
  fault(text: string): void;
  /** Replaces the last progress line; nothing unless stderr is a terminal. */
  progress(text: string): void;
}

interface Streams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

/** First words of report lines that are coloured on a terminal; the text says the same without. */
const COLOURS = { STOPPED: "red", denied: "red", stopped: "red", "cofferdam: stopped": "red", review: "yellow", warned: "yellow", skipped: "yellow" } as const;

export class TerminalOutput implements Output {
  readonly #streams: Streams;
  readonly #quiet: boolean;
  readonly #color: boolean;
  #progressShown = false;

  constructor(streams: Streams, options: { readonly quiet: boolean; readonly color: boolean }) {
    this.#streams = streams;
    this.#quiet = options.quiet;
    this.#color = options.color;
  }

  data(text: string): void {
    this.#clearProgress();
    // A terminal interprets control characters; a file or another program gets the data as it is (CSV ends lines with CR LF).
    this.#streams.stdout.write(this.#streams.stdout.isTTY ? plain(text) : text);
  }

  json(document: object): void {
    this.#clearProgress();
    this.#streams.stdout.write(`${JSON.stringify(document)}\n`);
  }

  note(text: string): void {
    if (!this.#quiet) this.fault(text);
  }

  fault(text: string): void {
    this.#clearProgress();
    const clean = plain(text.endsWith("\n") ? text : `${text}\n`);
    this.#streams.stderr.write(this.#color ? coloured(clean) : clean);
  }

  progress(text: string): void {
    if (this.#quiet || !this.#streams.stderr.isTTY) return;
    const width = Math.max(20, (this.#streams.stderr.columns ?? 80) - 1);
    this.#streams.stderr.write(`\r\u001b[K${plain(text).slice(0, width)}`);
    this.#progressShown = true;
  }

  #clearProgress(): void {
    if (this.#progressShown) this.#streams.stderr.write("\r\u001b[K");
    this.#progressShown = false;
  }
}

/** Control characters but tab and line feed become visible; so do the ones that turn the direction of text. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069\u2028\u2029]/gu, (character) =>
    character === "\n" || character === "\t" ? character : `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

function coloured(text: string): string {
  return text
    .split("\n")
    .map((line) => {
      const match = Object.entries(COLOURS).find(([word]) => line.startsWith(word));
      return match === undefined ? line : styleText(match[1], match[0], { validateStream: false }) + line.slice(match[0].length);
    })
    .join("\n");
}
