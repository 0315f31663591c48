/**
 * The proxy that a job may name in HTTPS_PROXY or HTTP_PROXY: the same rules by another way. A tunnel is a connection whose name
 * is known before it begins; a plain request goes on as one to its server, on a connection of its own.
 */
import type { Socket } from "node:net";
import { parseAddress } from "../rules/index.ts";
import type { Wanted } from "./judge.ts";
import { refuseHttp } from "./refusal-page.ts";
import { type HeadFault, type RequestHead, RequestHeads } from "./request-head.ts";
import { MAX_HEAD } from "./request-stream.ts";

/** ms for the head of a request. */
const HEAD_TIMEOUT = 10_000;
/** Between a client and its proxy; ours go one request a connection. */
const OWN_FIELDS = /^(?:proxy-connection|proxy-authorization|connection|keep-alive):/i;

/**
 * Reads what is asked for; then the connection is the same as one that was sent there. Undefined when the client was told no.
 * @param client paused when this resolves, with what the server gets put back in front.
 */
export async function readProxyRequest(client: Socket, gateway: string): Promise<(Wanted & { readonly tunnel: boolean }) | undefined> {
  const bytes = await readHead(client);
  if (bytes === undefined) return undefined;
  const end = bytes.indexOf("\r\n\r\n");
  const text = bytes.toString("latin1", 0, end);
  const head: RequestHead | HeadFault = end < 0 ? { reason: "bad-request", rule: "the head" } : new RequestHeads().read(text);
  const tunnel = !("reason" in head) && head.method === "CONNECT";
  if ("reason" in head || !(tunnel || head.absolute)) {
    const { reason, rule } = "reason" in head ? head : { reason: "bad-request" as const, rule: "a proxy is asked with an absolute target" };
    refuseHttp(client, gateway, { verdict: "refused", reason, rule });
    return undefined;
  }
  const rest = bytes.subarray(end + 4);
  client.unshift(tunnel ? rest : Buffer.concat([Buffer.from(`${ownHead(text, head)}\r\n\r\n`, "latin1"), rest]));
  const address = head.hostIsAddress ? parseAddress(head.host) : undefined;
  return { name: address === undefined ? head.host : undefined, address, port: head.port ?? 80, tunnel };
}

/** As it goes to the server: a path for its target, and one request on the connection. */
function ownHead(text: string, { target, upgrade }: RequestHead): string {
  const [line = "", ...fields] = text.split("\r\n");
  const path = /^[^:]+:\/\/[^/?]*(.*)$/.exec(target)?.[1] ?? "";
  const kept = upgrade ? fields : [...fields.filter((field) => !OWN_FIELDS.test(field)), "Connection: close"];
  return [line.replace(target, () => (path.startsWith("/") ? path : `/${path}`)), ...kept].join("\r\n");
}

async function readHead(client: Socket): Promise<Buffer | undefined> {
  return await new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    const done = (whole: Buffer | undefined): void => {
      clearTimeout(timer);
      client.pause();
      client.off("data", take).off("end", gone).off("close", gone);
      if (whole === undefined) client.destroy();
      resolve(whole);
    };
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.includes("\r\n\r\n") || bytes.length > MAX_HEAD) done(bytes);
    };
    const gone = (): void => done(undefined);
    const timer = setTimeout(gone, HEAD_TIMEOUT);
    client.on("data", take).once("end", gone).once("close", gone);
  });
}
