/** pip's indexes: what it is set to, or its own default with the place where that keeps its files. */
import { type ConfiguredRules, type ConfiguredSet, rulesOfAddresses } from "./configured-set.ts";
import type { SetHost } from "./host.ts";

export const pipSet: ConfiguredSet = { name: "pip", what: "the indexes that pip is set to here, or its own", resolve };

/** `-I`: no modules of the folder it runs in, nor of the environment. */
const PIP = ["-I", "-m", "pip"];
const DEFAULTS = "from pip._internal.models.index import PyPI; print(PyPI.simple_url); print('https://' + PyPI.file_storage_domain)";
/** `global.index-url='https://...'`, as Python writes a string. */
const SETTING = /^\S*\.(index-url|extra-index-url)=(['"])(.*)\2$/;

async function resolve(host: SetHost): Promise<ConfiguredRules> {
  const said = await host.ask("python3", [...PIP, "config", "list"]);
  if (said === undefined) return { rules: [], notes: ["pip is not here, or does not tell its configuration"] };
  const set = said.split("\n").flatMap((line) => {
    const [, key = "", , value = ""] = SETTING.exec(line) ?? [];
    return key === "" ? [] : [{ key, addresses: value.split(/(?:\s|\\n)+/).filter((text) => text !== "") }];
  });
  const own = set.some(({ key }) => key === "index-url") ? "" : await host.ask("python3", ["-I", "-c", DEFAULTS]);
  return rulesOfAddresses(
    [...set.flatMap(({ addresses }) => addresses), ...(own ?? "").split("\n").filter((line) => line !== "")],
    own === undefined ? ["pip does not tell its own index"] : set.length > 0 ? ["files that an index keeps elsewhere are not known here"] : [],
  );
}
