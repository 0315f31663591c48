/** Takes every interface of a container away, from outside, whoever gave it. */
import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import { z } from "zod";
import { CofferdamError, errnoOf, runCommand, wrapError } from "../../foundation/index.ts";

const linksSchema = z.array(z.looseObject({ ifname: z.string().max(64), linkinfo: z.looseObject({ info_kind: z.string() }).optional() }));
const MAX_LINKS = 64;

/**
 * @param isStill whether the container still runs as that process: pids are used again, and another one's network is not ours to cut.
 * @returns how many interfaces there were. Throws FAILED_PRECONDITION when it has ended, or has the host's network.
 */
export async function cutContainer(pid: number, isStill: () => Promise<boolean>): Promise<number> {
  const space = openSpace(pid);
  try {
    if (fstatSync(space).ino === statSync("/proc/self/ns/net").ino)
      throw new CofferdamError("FAILED_PRECONDITION", `process ${pid} has the network of this host: nothing is cut`);
    // Opened before: if it is still that process, this is its network.
    if (!(await isStill())) throw new CofferdamError("FAILED_PRECONDITION", `the container does not run as process ${pid} any more`);
    const inside = async (...command: readonly string[]): Promise<string> =>
      await runCommand("nsenter", ["--net=/proc/self/fd/3", ...command], { descriptor: space });
    const links = vethsIn(await inside("ip", "-json", "-details", "link", "show"));
    // Deleting one end deletes the other.
    for (const name of links) await inside("ip", "link", "delete", "dev", name);
    return links.length;
  } finally {
    closeSync(space);
  }
}

function openSpace(pid: number): number {
  try {
    return openSync(`/proc/${pid}/ns/net`, "r");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") throw new CofferdamError("FAILED_PRECONDITION", `process ${pid} is gone`);
    throw wrapError(error, "ENVIRONMENT_UNFIT", "the container's network cannot be opened");
  }
}

function vethsIn(text: string): readonly string[] {
  const parsed = linksSchema.safeParse(JSON.parse(text));
  if (!parsed.success) throw new CofferdamError("INTERNAL", "ip -json link: an answer that cannot be read");
  const links = parsed.data.filter(({ linkinfo }) => linkinfo?.info_kind === "veth").map(({ ifname }) => ifname);
  if (links.length > MAX_LINKS) throw new CofferdamError("FAILED_PRECONDITION", `${links.length} interfaces: not a container of ours`);
  return links;
}
