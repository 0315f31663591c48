/** One JSON array of the events. */
import type { Exporter } from "./format.ts";

export const json: Exporter = {
  async *write({ events }) {
    let separator = "[\n";
    for await (const event of events) {
      yield `${separator}${JSON.stringify(event)}`;
      separator = ",\n";
    }
    yield separator === "[\n" ? "[]\n" : "\n]\n";
  },
};
