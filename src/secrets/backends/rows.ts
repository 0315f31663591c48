/** Where sealed secrets lie as rows. Nothing here knows what they mean: records are signed texts, values are envelopes. */
import type { Envelope } from "../sealing/envelope.ts";

/** A text and what proves that this store wrote it. */
export interface SignedText {
  readonly body: string;
  readonly tag: Uint8Array;
}

/** A record as it lies there, with what stands beside it. */
export interface NamedText extends SignedText {
  readonly secretId: string;
  readonly deleted: boolean;
}

export interface RowsView {
  /** The store's own state. */
  store(): Promise<SignedText | undefined>;
  record(secretId: string): Promise<SignedText | undefined>;
  records(): AsyncIterable<NamedText>;
  countRecords(): Promise<number>;
  value(secretId: string, version: number): Promise<Envelope | undefined>;
  /** Ids of those that are not deleted, in byte order. */
  ids(after: string | undefined, limit: number): Promise<readonly string[]>;
  /** Values whose key is under another master key. */
  notUnder(keyId: string, limit: number): Promise<readonly KeptValue[]>;
}

export interface KeptValue {
  readonly secretId: string;
  readonly version: number;
  readonly keyId: string;
  readonly wrapped: Uint8Array;
}

export interface RowsEdit extends RowsView {
  saveStore(text: SignedText): Promise<void>;
  saveRecord(secretId: string, deleted: boolean, text: SignedText): Promise<void>;
  addValue(secretId: string, version: number, envelope: Envelope): Promise<void>;
  rewrapValue(secretId: string, version: number, keyId: string, wrapped: Uint8Array): Promise<void>;
  /** What stood there is overwritten, as far as the place can. */
  dropValues(secretId: string, versions: readonly number[]): Promise<void>;
}

export interface SecretRows {
  initialize(): Promise<void>;
  /** One moment, without holding writers up. */
  read<T>(work: (rows: RowsView) => Promise<T>): Promise<T>;
  /** Writers take turns; what rejects is undone. */
  write<T>(work: (rows: RowsEdit) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
