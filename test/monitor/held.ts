/** A container whose script waits for a line before it begins: a watch needs its process, which is there only once it was started. */
import type { ContainerEngine } from "../../src/engine/index.ts";

type CreateOptions = Parameters<ContainerEngine["containers"]["create"]>[0];

export interface HeldOptions {
  /** For bash. */
  readonly script: string;
  /** What it is made with besides. */
  readonly container: Omit<CreateOptions, "Cmd" | "OpenStdin" | "StdinOnce">;
  readonly terminal?: boolean;
  /** Is told its id before anything runs in it. */
  readonly watch: (id: string) => Promise<void>;
}

export interface Held {
  readonly exitCode: number;
  readonly output: string;
}

/** Runs it to its end. @param look at what it left, before it is removed. */
export async function runHeld<T>(
  { containers }: ContainerEngine,
  { script, container, terminal = false, watch }: HeldOptions,
  look: (id: string, held: Held) => Promise<T>,
): Promise<T> {
  const { Id } = await containers.create({
    ...container,
    ...{ Cmd: ["bash", "-c", `read line; ${script}`], Tty: terminal, OpenStdin: true, StdinOnce: true },
  });
  try {
    const attachment = await containers.attach(Id, { tty: terminal, stdin: true });
    const { exit } = await containers.startWait(Id, { condition: "next-exit" });
    await containers.start(Id);
    await watch(Id);
    // The end of its input would hang a terminal up.
    if (terminal) attachment.stdin.write("go\n");
    else attachment.stdin.end("go\n");
    let output = "";
    for await (const { bytes } of attachment.output) output += Buffer.from(bytes).toString();
    const { exitCode } = await exit;
    return await look(Id, { exitCode, output });
  } finally {
    await containers.remove(Id, { force: true });
  }
}
