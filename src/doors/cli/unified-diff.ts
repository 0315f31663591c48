/** A change of a text as `diff -u` writes it, for people and for `git apply`. */

const CONTEXT = 3;

/** One hunk from the first line that differs to the last; empty when nothing does. */
export function unifiedDiff(before: string, after: string, name: string): string {
  if (before === after) return "";
  const [old, young] = [linesOf(before), linesOf(after)];
  let head = 0;
  while (head < old.length && head < young.length && old[head] === young[head]) head++;
  let tail = 0;
  while (tail < old.length - head && tail < young.length - head && old.at(-1 - tail) === young.at(-1 - tail)) tail++;
  const start = Math.max(0, head - CONTEXT);
  const rest = Math.max(0, tail - CONTEXT);
  const body = [
    ...old.slice(start, head).map((line) => ` ${line}`),
    ...old.slice(head, old.length - tail).map((line) => `-${line}`),
    ...young.slice(head, young.length - tail).map((line) => `+${line}`),
    ...old.slice(old.length - tail, old.length - rest).map((line) => ` ${line}`),
  ];
  const range = (lines: readonly string[]): string => {
    const count = lines.length - rest - start;
    return `${count === 0 ? start : start + 1},${count}`;
  };
  return `--- ${before === "" ? "/dev/null" : `a/${name}`}\n+++ b/${name}\n@@ -${range(old)} +${range(young)} @@\n${body.join("\n")}\n`;
}

function linesOf(text: string): readonly string[] {
  const lines = text.split("\n");
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}
