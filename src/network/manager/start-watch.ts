/** Containers that were put on a network before they run: their networks are taken, and ours is given, when the engine starts them. */
import type { ContainerEngine } from "../../engine/index.ts";
import { messageOf } from "../../foundation/index.ts";

export interface StartWatchParts {
  readonly engine: ContainerEngine;
  /** Moves it, now that it runs. */
  move(containerId: string): Promise<void>;
  /** It runs, and is not where it should be: it was killed. */
  failed(containerId: string, why: string): void;
}

/** Watches until it was started once, or the signal ends it. Never throws. */
export async function watchStart(containerId: string, { engine, move, failed }: StartWatchParts, signal: AbortSignal): Promise<void> {
  try {
    for await (const news of engine.events({ signal, filters: { type: ["container"], container: [containerId] } })) {
      // After a cut of the stream it may have been started unseen.
      const { State } = await engine.containers.inspect(containerId, { signal });
      if (State.Running) return await move(containerId);
      if (news.kind === "event" && news.event.Action === "destroy") return;
    }
  } catch (error) {
    if (signal.aborted) return;
    await engine.containers.kill(containerId).catch(() => undefined);
    failed(containerId, messageOf(error).slice(0, 300));
  }
}
