/** A server, a database and an updater between them, with a clock and waits that the test looks at. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { AdvisoryDatabase } from "../../src/vulnerability/database.ts";
import { EnvironmentHttpClient } from "../../src/vulnerability/sources/http-client.ts";
import { type OsvUpdateOptions, type OsvUpdateResult, updateFromOsv } from "../../src/vulnerability/sources/osv-export.ts";
import { OsvServer } from "./osv-server.ts";

export const DAY = 86_400_000;
export const START: number = Date.parse("2026-03-01T12:00:00Z");

export function record(number: number, modified: number | string): { id: string; modified: string; affected: unknown } {
  const affected = [{ package: { ecosystem: "npm", name: `p${number}` }, ranges: [{ type: "SEMVER", events: [{ introduced: "0" }, { fixed: "1.0.0" }] }] }];
  return { id: `GHSA-${number}`, modified: typeof modified === "string" ? modified : new Date(modified).toISOString(), affected };
}

export class OsvWorld implements AsyncDisposable {
  readonly server: OsvServer;
  readonly folder: string = mkdtempSync(join(tmpdir(), "cofferdam-osv-"));
  readonly database: AdvisoryDatabase;
  readonly http: EnvironmentHttpClient = new EnvironmentHttpClient({ env: {}, userAgent: "cofferdam-test", idleTimeout: 20_000 });
  readonly waits: number[] = [];
  now: number = START + 10 * DAY;

  private constructor(server: OsvServer) {
    this.server = server;
    this.database = new AdvisoryDatabase({ directory: this.folder, clock: { now: () => this.now, monotonic: () => performance.now() } });
  }

  static async start(records = 30): Promise<OsvWorld> {
    const world = new OsvWorld(await OsvServer.start());
    for (let i = 0; i < records; i++) world.server.put(record(i, START + i * 1000));
    return world;
  }

  update(options: Partial<OsvUpdateOptions> = {}): Promise<OsvUpdateResult> {
    return updateFromOsv(this.database, {
      base: this.server.base,
      ecosystem: "npm",
      folder: this.folder,
      http: this.http,
      signal: new AbortController().signal,
      clock: { now: () => this.now, monotonic: () => performance.now() },
      pause: async (ms) => void this.waits.push(ms),
      ...options,
    });
  }

  async held(): Promise<Record<string, string>> {
    const held: Record<string, string> = {};
    for await (const { name, bytes } of this.database.exportRecords()) held[name] = String(JSON.parse(Buffer.from(bytes).toString("utf8")).modified);
    return held;
  }

  async assertSame(): Promise<void> {
    expect(await this.held()).toEqual(Object.fromEntries([...this.server.records].map(([id, { modified }]) => [id, modified])));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.http.close();
    await this.database.close();
    await this.server[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true });
  }
}
