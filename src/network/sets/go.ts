/** Go's module proxies and checksum database, as `go env` tells them. */
import { type ConfiguredRules, type ConfiguredSet, rulesOfAddresses } from "./configured-set.ts";
import type { SetHost } from "./host.ts";
import { objectOf } from "./npm.ts";

export const goSet: ConfiguredSet = { name: "go", what: "the module proxies and the checksum database that Go is set to here", resolve };

async function resolve(host: SetHost): Promise<ConfiguredRules> {
  const said = await host.ask("go", ["env", "-json", "GOPROXY", "GOSUMDB"]);
  const settings = said === undefined ? undefined : objectOf(said);
  if (settings === undefined) return { rules: [], notes: ["go is not here, or does not tell its configuration"] };
  const { GOPROXY: proxies, GOSUMDB: database } = settings;
  const listed = typeof proxies === "string" ? proxies.split(/[,|]/).map((text) => text.trim()) : [];
  const addresses = listed.filter((text) => text !== "" && text !== "direct" && text !== "off" && !text.startsWith("file:"));
  const notes = listed.includes("direct") ? ["direct: what no proxy has comes from its own host, which is not known here"] : [];
  return rulesOfAddresses([...addresses, ...databaseAddresses(database)], notes);
}

/** `name`, `name+key` or `name+key URL`. */
function databaseAddresses(setting: unknown): readonly string[] {
  if (typeof setting !== "string" || setting === "" || setting === "off") return [];
  const [verifier = "", address] = setting.trim().split(/\s+/);
  return [address ?? `https://${verifier.split("+")[0] ?? ""}`];
}
