/** What the jail's pid 1 says over the channel. It is ours, but what it quotes comes from inside: all of it is checked. */
import { z } from "zod";

export interface Ready {
  readonly kind: "ready";
  readonly landlock: number;
}

export interface Refused {
  readonly kind: "refused";
  readonly refused: "read" | "write" | "connect" | "name" | "call";
  readonly what: string;
  readonly why: string;
  readonly by: string;
}

export interface Ended {
  readonly kind: "ended";
  readonly exit: number;
  readonly signal: number;
  readonly cpuMs: number;
  readonly maxRss: number;
  readonly leftovers: number;
  readonly killedBy: "memory" | "cpu" | "term" | null;
}

export type Message = Ready | Refused | Ended | { readonly kind: "overflow" } | { readonly kind: "door" } | { readonly kind: "knocked"; readonly by: string };

const count = z.int().min(0);
const text = z.string().max(16_384);
const schema: z.ZodType<Message> = z.union([
  z.strictObject({ ready: z.literal(true), landlock: count }).transform(({ landlock }): Ready => ({ kind: "ready", landlock })),
  z
    .strictObject({ refused: z.enum(["read", "write", "connect", "name", "call"]), what: text, why: text, by: text })
    .transform((message): Refused => ({ kind: "refused", ...message })),
  z
    .strictObject({
      ended: z.literal(true),
      exit: z.int(),
      signal: count,
      cpuMs: count,
      maxRss: count,
      leftovers: count,
      killedBy: z.enum(["memory", "cpu", "term"]).nullable(),
    })
    .transform(({ ended: _, ...message }): Ended => ({ kind: "ended", ...message })),
  z.strictObject({ overflow: z.literal(true) }).transform((): Message => ({ kind: "overflow" })),
  z.strictObject({ knocked: z.literal(true), by: text }).transform(({ by }): Message => ({ kind: "knocked", by })),
  z.strictObject({ door: z.int() }).transform((): Message => ({ kind: "door" })),
]);

/** @returns undefined for what is not a message; the caller treats that as a broken jail. */
export function readMessage(raw: unknown): Message | undefined {
  const parsed = schema.safeParse(raw);
  return parsed.success ? parsed.data : undefined;
}
