/** Takes every interface of a container away, from outside, whoever gave it. */
import { z } from "zod";
import { CofferdamError, runCommand } from "../../foundation/index.ts";

const linksSchema = z.array(z.looseObject({ ifname: z.string().max(64), linkinfo: z.looseObject({ info_kind: z.string() }).optional() }));
const MAX_LINKS = 64;

/** @returns how many there were. The host's own network is left alone: FAILED_PRECONDITION. */
export async function cutContainer(pid: number): Promise<number> {
  const inside = ["--target", String(pid), "--net"];
  const parsed = linksSchema.safeParse(JSON.parse(await runCommand("nsenter", [...inside, "ip", "-json", "-details", "link", "show"])));
  if (!parsed.success) throw new CofferdamError("INTERNAL", "ip -json link: an answer that cannot be read");
  const links = parsed.data.filter(({ linkinfo }) => linkinfo?.info_kind === "veth");
  if (links.length > MAX_LINKS) throw new CofferdamError("FAILED_PRECONDITION", `${links.length} interfaces: not a container of ours`);
  // Deleting one end deletes the other.
  for (const { ifname } of links) await runCommand("nsenter", [...inside, "ip", "link", "delete", "dev", ifname]);
  return links.length;
}
