/** Our static programs, by name, and what to say when one is not there. */
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { CofferdamError, packageFolder } from "../../foundation/index.ts";

/** Path of `cofferdam-shim` or `cofferdam-place`. Throws ENVIRONMENT_UNFIT when it was not built for this machine. */
export function locateNative(name: "shim" | "place"): string {
  const path = join(packageFolder(), "dist", "native", `cofferdam-${name}-${process.arch}`);
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    throw new CofferdamError("ENVIRONMENT_UNFIT", `cofferdam-${name} is missing for ${process.arch}`, {
      hint: "in a checkout: ./dev setup builds it (it needs a C compiler)",
    });
  }
}
