/** What a refused client is told, in its own protocol. */
import type { Socket } from "node:net";
import { type Decision, type RefusalReason, refusalMessage } from "../rules/index.ts";

/** TLS alert access_denied (RFC 8446 §6.2), fatal. */
const ACCESS_DENIED: Buffer = Buffer.from([21, 3, 1, 0, 2, 2, 49]);
/** ms that a client has to read what it was told. */
const LINGER = 2000;
const BAD_REQUESTS: ReadonlySet<RefusalReason | undefined> = new Set(["bad-request", "no-host", "not-http", "h2c"] as const);
const CAN_BE_ALLOWED: ReadonlySet<RefusalReason | undefined> = new Set(["not-allowed", "port-not-allowed"] as const);

/** @param target `host:port`. */
export function refuseHttp(socket: Socket, target: string, decision: Decision): void {
  const rule = decision.reason === "path-not-allowed" ? `"${target} ${decision.rule}"` : CAN_BE_ALLOWED.has(decision.reason) ? target : undefined;
  const allow = rule === undefined ? "" : `allow: cofferdam policy allow ${rule} --reason TEXT\n`;
  const status = BAD_REQUESTS.has(decision.reason) ? "400 Bad Request" : "403 Forbidden";
  sayAndClose(socket, page(status, `cofferdam: ${refusalMessage(target, decision)}\n${allow}`));
}

export function failHttp(socket: Socket, target: string, why: string): void {
  sayAndClose(socket, page("502 Bad Gateway", `cofferdam: ${target}: ${why}\n`));
}

export function refuseTls(socket: Socket): void {
  sayAndClose(socket, ACCESS_DENIED);
}

/** What still comes is read and dropped: a reset would take away what was said. */
function sayAndClose(socket: Socket, bytes: Buffer): void {
  if (socket.destroyed) return;
  socket.end(bytes);
  socket.on("data", () => undefined);
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER);
  socket.once("end", () => socket.destroySoon());
  socket.once("close", () => clearTimeout(timer));
}

function page(status: string, text: string): Buffer {
  return Buffer.from(
    `HTTP/1.1 ${status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  );
}
