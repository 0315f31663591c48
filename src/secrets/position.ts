/** Where a store was, as a record of a change says it. */
import { z } from "zod";
import type { JsonObject } from "../foundation/index.ts";
import type { StorePosition } from "./contract.ts";

const schema: z.ZodType<StorePosition> = z.strictObject({ storeId: z.string(), change: z.int().min(0) });

/** Actions whose events have a position in their details. */
const POSITION_ACTIONS: readonly string[] = ["SecretStored", "SecretRotated", "SecretDeleted", "SecretKeyChanged", "SecretStoreRecovered"];

interface RecordedChange {
  readonly seq: number;
  readonly details?: JsonObject | undefined;
}

/** The position that was recorded last. @param search the newest event of the query's kind first. */
export async function lastPosition(
  search: (query: {
    readonly category: string;
    readonly action: string;
    readonly result: "success";
    readonly newestFirst: true;
    readonly limit: 1;
  }) => Promise<readonly RecordedChange[]>,
): Promise<StorePosition | undefined> {
  const pages = await Promise.all(
    POSITION_ACTIONS.map(async (action) => await search({ category: "secrets", action, result: "success", newestFirst: true, limit: 1 })),
  );
  const [last] = pages.flat().toSorted((one, other) => other.seq - one.seq);
  return positionIn(last?.details);
}

/** @param details of an event of one of {@link POSITION_ACTIONS}. */
export function positionIn(details: JsonObject | undefined): StorePosition | undefined {
  return schema.safeParse(details?.["position"]).data;
}
