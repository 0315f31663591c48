/** What the monitor's thread and whoever started it say to each other. Order between the messages of one side is kept. */

import type { GapEvent, LossEvent, SensorSource, SensorStatus } from "../event.ts";
import type { ConnectorEvent } from "./connector.ts";
import type { HashRequest } from "./hashing.ts";

/** A watch of the kernel: whose namespaces, and how much may be told of it. */
export interface WatchOrder {
  /** Never used before in this thread; how records are told apart. */
  readonly id: number;
  readonly pidns: number;
  readonly mntns: number;
  /** A process of it that lives, on the host: where the fallback starts from. */
  readonly pid: number;
  /** Records a second of each class. */
  readonly rate: number;
  readonly env: boolean;
}

export type ToThread =
  | { readonly type: "watch"; readonly order: WatchOrder }
  | { readonly type: "unwatch"; readonly id: number }
  /** Asks for an answer behind everything that happened before. */
  | { readonly type: "sync"; readonly serial: number }
  | { readonly type: "hash"; readonly serial: number; readonly request: HashRequest }
  /** So many bytes of batches were dealt with. */
  | { readonly type: "done"; readonly bytes: number }
  | { readonly type: "close" };

/** Why a watch is not kept. */
export interface Refusal {
  readonly code: "CONFLICT" | "INTERNAL" | "RESOURCE_EXHAUSTED";
  readonly message: string;
}

export type FromThread =
  | { readonly type: "batch"; readonly bytes: Uint8Array; readonly clockOffset: bigint }
  /** Of the fallback, which has no records. */
  | { readonly type: "event"; readonly id: number; readonly event: ConnectorEvent }
  | { readonly type: "status"; readonly status: SensorStatus }
  | { readonly type: "gap"; readonly gap: GapEvent }
  /** Every second, behind everything that was said before. */
  | { readonly type: "alive" }
  | { readonly type: "loss"; readonly id: number | undefined; readonly where: LossEvent["where"]; readonly count: number }
  /** After an unwatch nothing more comes of it. */
  | { readonly type: "watched" | "unwatched"; readonly id: number; readonly error: Refusal | undefined }
  | { readonly type: "synced"; readonly serial: number }
  | { readonly type: "hashed"; readonly serial: number; readonly sha256: string | undefined };

export interface ThreadData {
  readonly program: string;
  /** The best first; never empty. */
  readonly sources: readonly SensorSource[];
  readonly sensitive: readonly { readonly name: string; readonly as: number }[];
}
