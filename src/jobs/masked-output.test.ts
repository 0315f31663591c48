/** A job's two streams without its secrets: order, a reader that is slow, and what is let go when nothing comes. */
import { expect, test } from "vitest";
import type { OutputChunk } from "../engine/index.ts";
import { MaskList } from "../secrets/index.ts";
import { MaskedOutput } from "./masked-output.ts";

const chunk = (text: string, source: OutputChunk["source"] = "stdout"): OutputChunk => ({ source, bytes: Buffer.from(text) });

class Reader {
  readonly heard: string[] = [];
  #wake: () => void = () => undefined;
  readonly #slow: boolean;

  constructor(slow = false) {
    this.#slow = slow;
  }

  readonly write = async ({ source, bytes }: OutputChunk): Promise<void> => {
    if (this.#slow) await new Promise(setImmediate);
    this.heard.push(`${source} ${bytes.toString()}`);
    this.#wake();
  };

  async until(count: number): Promise<void> {
    while (this.heard.length < count) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

function masks(): MaskList {
  const list = new MaskList();
  list.add(Buffer.from("correct horse"));
  return list;
}

test("each stream has a state of its own", async () => {
  const reader = new Reader();
  const output = new MaskedOutput(masks(), reader.write);
  for (const one of [chunk("a correct "), chunk("b correct ", "stderr"), chunk("horse."), chunk("house.", "stderr")]) await output.write(one);
  await output.end();
  expect(reader.heard).toEqual(["stdout a ", "stderr b ", "stdout ***.", "stderr correct house."]);
});

test("a prompt that ends like a secret begins shows after a moment; what comes of it then is masked all the same", async () => {
  const reader = new Reader();
  const output = new MaskedOutput(masks(), reader.write);
  await output.write(chunk("name: c"));
  await reader.until(2);
  expect(reader.heard).toEqual(["stdout name: ", "stdout c"]);
  await output.write(chunk("orrect horse\n"));
  await output.end();
  expect(reader.heard.slice(2)).toEqual(["stdout ***\n"]);
});

test("a slow reader gets everything in its order", async () => {
  const reader = new Reader(true);
  const output = new MaskedOutput(masks(), reader.write);
  for (let i = 0; i < 50; i++) await output.write(chunk(`${i} correct hors${i % 2 === 0 ? "e" : "t"}\n`));
  await output.end();
  expect(reader.heard.join("").replaceAll("stdout ", "")).toBe(
    Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? `${i} ***\n` : `${i} correct horst\n`)).join(""),
  );
});

test("a reader that fails is told by the write; one that fails late breaks nothing", async () => {
  let failing = false;
  const output = new MaskedOutput(masks(), async () => {
    if (failing) throw new Error("gone");
  });
  await output.write(chunk("x corr"));
  failing = true;
  await expect(output.write(chunk("ugated"))).rejects.toThrow("gone");
});
