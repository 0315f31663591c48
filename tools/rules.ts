/**
 * The product's rules as one JSON document, read again as strictly as they are here: whoever starts a monitor reads no YAML for them.
 * Called by `./dev`, after the compiler.
 */
import { writeFileSync } from "node:fs";
import { builtInRules } from "../src/monitor/rules/read.ts";

writeFileSync(new URL("../dist/rules.json", import.meta.url), JSON.stringify(await builtInRules()));
