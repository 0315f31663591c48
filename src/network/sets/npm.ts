/** npm's registries: asked of npm itself, which knows its files, its environment and its default. */
import { type ConfiguredRules, type ConfiguredSet, rulesOfAddresses } from "./configured-set.ts";
import type { SetHost } from "./host.ts";

export const npmSet: ConfiguredSet = { name: "npm", what: "the registries that npm is set to here, those of scopes too", resolve };

async function resolve(host: SetHost): Promise<ConfiguredRules> {
  const said = await host.ask("npm", ["config", "list", "--json", "--no-update-notifier"]);
  const settings = said === undefined ? undefined : objectOf(said);
  if (settings === undefined) return { rules: [], notes: ["npm is not here, or does not tell its configuration"] };
  const registries = Object.entries(settings).filter(([key]) => key === "registry" || (key.startsWith("@") && key.endsWith(":registry")));
  return rulesOfAddresses(registries.flatMap(([, value]) => (typeof value === "string" ? [value] : [])));
}

/** An object of JSON, or undefined. */
export function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
