/** Texts of /proc/PID, taken apart: for the fallback, which reads them at every event, and for looks at a container (proc_pid_status(5), proc_pid_stat(5)). */

/** What stands behind each name of `status`. */
export function statusFields(status: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of status.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return fields;
}

/** Fields of `stat`, the third first. The name before them is in brackets, and may hold anything: its last bracket ends it. */
export function statFields(stat: string): readonly string[] {
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** The place of the start of the process in {@link statFields}: hundredths of a second on every kernel (USER_HZ). */
export const START = 19;
