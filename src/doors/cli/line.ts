import { plain } from "./output.ts";

/** A stranger's text as one line, bounded, without control characters: it cannot write a line of ours. */
export function line(text: string, most = 200): string {
  const one = plain(text.replaceAll(/\s+/g, " ").trim());
  return one.length <= most ? one : `${one.slice(0, most - 3).replace(/[\ud800-\udbff]$/, "")}...`;
}
