/** `host:port` as it is granted: a DNS name and one port, nothing that stands for more than one place. */
import { isIP } from "node:net";
import { CofferdamError } from "../foundation/index.ts";

/** @returns the target in lower case. Throws INVALID_ARGUMENT for literals, wildcards and missing ports. */
export function parseNetTarget(text: string): string {
  const [, host = "", port = ""] = /^([a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?):(\d{1,5})$/i.exec(text) ?? [];
  // 127.1, 2130706433 and 0x7f.1 are addresses to a resolver.
  if (host === "" || Number(port) < 1 || Number(port) > 65_535 || isIP(host) !== 0 || /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/i.test(host))
    throw new CofferdamError("INVALID_ARGUMENT", `${JSON.stringify(text.slice(0, 80))} is not a name with a port`, {
      hint: "write it like registry.example:443; addresses and wildcards cannot be granted",
    });
  return `${host.toLowerCase()}:${Number(port)}`;
}
