/** OCSF 1.8.0, one event a line. */
import { productVersion } from "../../foundation/index.ts";
import { ocsfEvents } from "../ocsf/map.ts";
import type { Exporter } from "./format.ts";

export const ocsf: Exporter = {
  async *write({ events }) {
    const product = { version: productVersion() };
    for await (const event of events)
      yield ocsfEvents(event, product)
        .map((one) => `${JSON.stringify(one)}\n`)
        .join("");
  },
};
