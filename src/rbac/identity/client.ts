/** Who is at the other end, as far as the door knows: address and program. */
import { isIP, isIPv6 } from "node:net";
import { z } from "zod";
import type { JsonObject } from "../../foundation/index.ts";

export interface Client {
  /** Undefined over a unix socket or on the command line. */
  readonly ipAddress?: string | undefined;
  readonly userAgent?: string | undefined;
}

const MAX_USER_AGENT = 1024;

export const ipAddressSchema: z.ZodType<string> = z
  .string()
  .max(64)
  .refine((text) => isIP(text) !== 0, "not an IP address")
  .transform(plainAddress);
export const userAgentSchema: z.ZodType<string> = z
  .string()
  .max(MAX_USER_AGENT)
  .refine((text) => !/\p{Cc}/u.test(text) && text.isWellFormed(), "has control characters");

export const clientSchema: z.ZodType<Client> = z.strictObject({ ipAddress: ipAddressSchema.optional(), userAgent: userAgentSchema.optional() });

/** One spelling of an address: `::ffff:10.0.0.1` is 10.0.0.1, a zone is left out, IPv6 is as URLs write it. */
function plainAddress(text: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(text)) return text;
  return new URL(`http://[${text.replace(/%.*$/, "")}]`).hostname.slice(1, -1);
}

/** Where guesses are counted by: whoever has an IPv6 address has a whole /64 of them. */
export function addressBlock({ ipAddress }: Client): string {
  if (ipAddress === undefined) return "local";
  if (!isIPv6(ipAddress)) return ipAddress;
  const [head = "", tail] = ipAddress.split("::", 2);
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  while (tail !== undefined && groups.length + after.length < 8) groups.push("0");
  return `${[...groups, ...after].slice(0, 4).join(":")}::/64`;
}

/** For the sealed part of an event; undefined when nothing is known. */
export function personalOf(subject: string, { ipAddress, userAgent }: Client): { readonly personal?: { readonly subject: string; readonly data: JsonObject } } {
  if (ipAddress === undefined && userAgent === undefined) return {};
  return { personal: { subject, data: { ...(ipAddress === undefined ? {} : { ipAddress }), ...(userAgent === undefined ? {} : { userAgent }) } } };
}
