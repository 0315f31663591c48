/** What a job does in the network's benchmark; prints one figure. Names are looked up as a job would: each time, at its name server. */
import { Resolver } from "node:dns";
import { Agent, get as httpGet, type IncomingMessage, type RequestOptions } from "node:http";
import { get as httpsGet } from "node:https";
import { median } from "./measure.ts";

const [what = "", dns = "", amount = "1"] = process.argv.slice(2);
const HOST = "allowed.example";
const PARALLEL = 16;
const resolver = new Resolver();
resolver.setServers([dns]);
const lookup: RequestOptions["lookup"] = (name, options, done) =>
  resolver.resolve4(name, (error, addresses) => {
    if (options.all === true) done(error, error === null ? addresses.map((address) => ({ address, family: 4 })) : []);
    else done(error, addresses?.[0] ?? "", 4);
  });

async function fetchOnce(tls: boolean, path: string, agent?: Agent): Promise<void> {
  const options = { host: HOST, path, lookup, agent: agent ?? false, rejectUnauthorized: false };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    (tls ? httpsGet : httpGet)(options, resolve).on("error", reject);
  });
  if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`);
  for await (const _ of response);
}

const count = Number(amount);
let figure = 0;
if (what === "new") {
  const times: number[] = [];
  for (let at = 0; at < count; at++) {
    const before = performance.now();
    await fetchOnce(true, "/");
    times.push(performance.now() - before);
  }
  figure = median(times);
} else if (what === "bulk" || what === "bulk-tls") {
  const before = performance.now();
  await fetchOnce(what === "bulk-tls", `/${count}`);
  figure = count / 1e6 / ((performance.now() - before) / 1000);
} else {
  const agent = new Agent({ keepAlive: true, maxSockets: PARALLEL });
  const before = performance.now();
  let left = count;
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      while (left-- > 0) await fetchOnce(false, "/", agent);
    }),
  );
  figure = count / ((performance.now() - before) / 1000);
  agent.destroy();
}
process.stdout.write(`${figure}\n`);
