/** The inventory of a scanned target, as a bill of materials needs it. */
import type { BomOptions } from "./formats/cyclonedx.ts";
import type { ScanTarget } from "./target.ts";

export function bomOf({ packages, graph, project }: ScanTarget): Pick<BomOptions, "packages" | "project"> {
  return {
    packages: packages.map(({ name, version, path }) => ({
      ...{ name, version, path, dev: graph?.isDev(path) },
      ...(graph === undefined ? {} : { askedBy: graph.dependentsOf(path).map((one) => one.path) }),
    })),
    project,
  };
}
