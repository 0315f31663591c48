/** Keys over https, from nowhere but the address itself: no redirects, bounded in size and time. Proxies are not asked. */
import { CofferdamError, messageOf } from "../../../foundation/index.ts";
import type { KeyFetcher } from "./key-set.ts";

/** For the whole exchange, ms. */
const TIMEOUT = 10_000;

/** @param ca certificates (PEM) of an authority of one's own, instead of those that Node knows. */
export function httpsFetcher(ca?: string): KeyFetcher {
  return async (url, maxBytes) => {
    if (!url.startsWith("https://")) throw new CofferdamError("UPSTREAM_UNAVAILABLE", "keys are fetched over https alone");
    // Loaded when a key is fetched: most commands never do.
    const { Agent, request } = await import("undici");
    const agent = new Agent({ connect: { timeout: TIMEOUT, ...(ca === undefined ? {} : { ca }) } });
    try {
      const { statusCode, body } = await request(url, { dispatcher: agent, signal: AbortSignal.timeout(TIMEOUT), headers: { accept: "application/json" } });
      if (statusCode !== 200) throw new CofferdamError("UPSTREAM_UNAVAILABLE", `the answer has status ${statusCode}`);
      const chunks: Buffer[] = [];
      let length = 0;
      for await (const chunk of body) {
        length += chunk.length;
        if (length > maxBytes) throw new CofferdamError("UPSTREAM_UNAVAILABLE", `an answer of more than ${maxBytes} bytes`);
        chunks.push(chunk);
      }
      return Buffer.concat(chunks).toString("utf8");
    } catch (error) {
      throw error instanceof CofferdamError ? error : new CofferdamError("UPSTREAM_UNAVAILABLE", messageOf(error), { cause: error });
    } finally {
      await agent.destroy();
    }
  };
}
