/** A connection on which the client says nothing yet: the server may be the one that begins. */
import type { Socket } from "node:net";
import { type FirstWords, firstWords, WHENEVER } from "./first-words.ts";

/** ms that both may say nothing. */
const IDLE = 3_600_000;

/**
 * Passes on what the server says until the client says something. Undefined when either is gone; else both are as they were,
 * paused, and the words are the caller's to pass on.
 */
export async function letServerSpeak(client: Socket, server: Socket): Promise<FirstWords | undefined> {
  const gone = (): void => void client.destroySoon();
  const idle = (): void => void client.destroy();
  server.once("close", gone).setTimeout(IDLE, idle);
  client.once("close", () => server.destroy());
  server.pipe(client);
  const words = await firstWords(client, WHENEVER);
  server.off("close", gone).setTimeout(0).off("timeout", idle);
  server.unpipe(client);
  server.pause();
  if (words === undefined || server.destroyed) {
    client.destroySoon();
    return undefined;
  }
  return words;
}
