/** What a jail is made with on this machine. */
import { CofferdamError } from "../../foundation/index.ts";
import { type JailTools, locateJailHelper } from "../../sandbox/index.ts";
import { locateBubblewrap } from "./locate.ts";

/** @param path the caller's PATH. Throws ENVIRONMENT_UNFIT with what to install. */
export function jailTools(path: string): JailTools {
  const bubblewrap = locateBubblewrap(path);
  if (bubblewrap === undefined) {
    throw new CofferdamError("ENVIRONMENT_UNFIT", "bubblewrap is not installed", { hint: "apt-get install bubblewrap (or dnf, apk add, pacman -S)" });
  }
  return { bubblewrap, helper: locateJailHelper() };
}
