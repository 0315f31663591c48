/** The name under which an address is asked for its own (in-addr.arpa, ip6.arpa). */
import { parseAddress } from "../rules/index.ts";

/** Undefined for what is no address. */
export function reverseName(text: string): string | undefined {
  const address = parseAddress(text);
  if (address === undefined) return undefined;
  if (address.family === 4) return `${text.split(".").reverse().join(".")}.in-addr.arpa`;
  return `${[...address.value.toString(16).padStart(32, "0")].reverse().join(".")}.ip6.arpa`;
}
