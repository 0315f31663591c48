/** Calls on networks and volumes. */
import { identitySchema, networkSchema, networksSchema, volumeSchema, volumesSchema } from "./answer-schemas.ts";
import type { NetworkInspect, VolumeInspect } from "./answers.ts";
import type { NetworkConnect, NetworkCreate, VolumeCreate } from "./bodies.ts";
import { networkConnectSchema, networkCreateSchema, volumeCreateSchema, writeBody } from "./body-schemas.ts";
import { type Call, type Caller, DEFAULT_TIMEOUT_MS, filtersOf } from "./caller.ts";
import { objectPath } from "./names.ts";
import type { CallOptions, Filters, NetworkCalls, VolumeCalls } from "./types.ts";

type ListOptions = CallOptions & { readonly filters?: Filters | undefined };

export class Networks implements NetworkCalls {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  async create(body: NetworkCreate, options?: CallOptions): Promise<string> {
    objectPath("network", body.Name);
    // Before API 1.44 an engine makes a second network of the same name unless it is told not to.
    const json = writeBody(networkCreateSchema, { ...body, CheckDuplicate: true }, "network to create");
    return (await this.#caller.json(call("create a network", "POST", "/networks/create", options, { json }), identitySchema)).Id;
  }

  async inspect(id: string, options?: CallOptions): Promise<NetworkInspect> {
    return await this.#caller.json(call(`inspect network ${id}`, "GET", pathOf(id), options), networkSchema);
  }

  async list(options: ListOptions = {}): Promise<readonly NetworkInspect[]> {
    return await this.#caller.json(call("list networks", "GET", "/networks", options, { query: { filters: filtersOf(options.filters) } }), networksSchema);
  }

  async connect(id: string, body: NetworkConnect, options?: CallOptions): Promise<void> {
    const json = writeBody(networkConnectSchema, body, "container to connect");
    await this.#caller.status(call(`connect a container to network ${id}`, "POST", `${pathOf(id)}/connect`, options, { json }));
  }

  async disconnect(id: string, containerId: string, options: CallOptions & { readonly force?: boolean | undefined } = {}): Promise<void> {
    objectPath("container", containerId);
    const json = Buffer.from(JSON.stringify({ Container: containerId, Force: options.force === true }));
    await this.#caller.status(call(`disconnect a container from network ${id}`, "POST", `${pathOf(id)}/disconnect`, options, { json }));
  }

  async remove(id: string, options?: CallOptions): Promise<void> {
    await this.#caller.status(call(`remove network ${id}`, "DELETE", pathOf(id), options));
  }
}

export class Volumes implements VolumeCalls {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  async create(body: VolumeCreate, options?: CallOptions): Promise<VolumeInspect> {
    objectPath("volume", body.Name);
    const json = writeBody(volumeCreateSchema, body, "volume to create");
    return await this.#caller.json(call("create a volume", "POST", "/volumes/create", options, { json }), volumeSchema);
  }

  async list(options: ListOptions = {}): Promise<readonly VolumeInspect[]> {
    const answer = await this.#caller.json(call("list volumes", "GET", "/volumes", options, { query: { filters: filtersOf(options.filters) } }), volumesSchema);
    return answer.Volumes;
  }

  async inspect(name: string, options?: CallOptions): Promise<VolumeInspect> {
    return await this.#caller.json(call(`inspect volume ${name}`, "GET", `/volumes/${objectPath("volume", name)}`, options), volumeSchema);
  }

  async remove(name: string, options: CallOptions & { readonly force?: boolean | undefined } = {}): Promise<void> {
    await this.#caller.status(call(`remove volume ${name}`, "DELETE", `/volumes/${objectPath("volume", name)}`, options, { query: { force: options.force } }));
  }
}

function pathOf(id: string): string {
  return `/networks/${objectPath("network", id)}`;
}

function call(what: string, method: Call["method"], path: string, options: CallOptions | undefined, more: Partial<Call> = {}): Call {
  return { what, method, path, options, timeoutMs: DEFAULT_TIMEOUT_MS, ...more };
}
