/** Small HTTP exchanges with witnesses and copies: bounded in time and size, no redirects. */
import { CofferdamError, messageOf } from "../foundation/index.ts";
import { withoutCredentials } from "./copies/place.ts";
import { MAX_NOTE_BYTES } from "./note.ts";

/** Longest time for one exchange, ms. */
const TIMEOUT = 10_000;

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/**
 * One request. Credentials in the address are sent as Basic authentication and appear in no message.
 * Throws UPSTREAM_UNAVAILABLE when there is no answer in time, or one that is too large or a redirect.
 */
export async function exchange(method: "GET" | "PUT" | "POST", address: string, body?: string): Promise<Answer> {
  const url = new URL(address);
  const headers: Record<string, string> = body === undefined ? {} : { "content-type": "text/plain; charset=utf-8" };
  if (url.username !== "") {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers["authorization"] = `Basic ${Buffer.from(credentials).toString("base64")}`;
    url.username = "";
    url.password = "";
  }
  try {
    const response = await fetch(url, { method, headers, redirect: "error", signal: AbortSignal.timeout(TIMEOUT), ...(body === undefined ? {} : { body }) });
    return { status: response.status, text: await readText(response) };
  } catch (error) {
    throw error instanceof CofferdamError ? error : unreachable(url.href, reasonOf(error));
  }
}

export function unreachable(address: string, reason: string): CofferdamError {
  return new CofferdamError("UPSTREAM_UNAVAILABLE", `${withoutCredentials(address)}: ${reason}`);
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_NOTE_BYTES) throw unreachable(response.url, `an answer of more than ${MAX_NOTE_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** fetch says "fetch failed" and keeps the reason in `cause`. */
function reasonOf(error: unknown): string {
  return error instanceof Error && error.cause instanceof Error ? messageOf(error.cause) : messageOf(error);
}
