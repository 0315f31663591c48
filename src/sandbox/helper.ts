/** Where the native helper is, and what to say when it is not. */
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { CofferdamError, packageFolder } from "../foundation/index.ts";

/** Path of `cofferdam-jail`. Throws ENVIRONMENT_UNFIT when it was not built for this machine. */
export function locateJailHelper(): string {
  const path = join(packageFolder(), "dist", "native", `cofferdam-jail-${process.arch}`);
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    throw new CofferdamError("ENVIRONMENT_UNFIT", `the jail's helper is missing for ${process.arch}`, {
      hint: "in a checkout: ./dev setup builds it (it needs a C compiler)",
    });
  }
}
