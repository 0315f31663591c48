import { expect, test } from "vitest";
import { z } from "zod";
import { parseInput } from "./schema.ts";

const schema = z.strictObject({ packages: z.strictObject({ hold: z.string() }), list: z.array(z.strictObject({ reason: z.string() })).optional() });

test("an unknown key is named with its path and the nearest known key", () => {
  expect(() => parseInput(schema, { packages: { hodl: "3d", hold: "3d" } }, "cofferdam.yaml")).toThrow(
    expect.objectContaining({ code: "INVALID_ARGUMENT", message: 'cofferdam.yaml: packages.hodl: unknown key (did you mean "hold"?)' }),
  );
});

test("suggests inside arrays", () => {
  expect(() => parseInput(schema, { packages: { hold: "3d" }, list: [{ reasn: "x", reason: "y" }] }, "f")).toThrow(
    /list\.0\.reasn: unknown key \(did you mean "reason"\?\)/,
  );
});

test("a valid input comes back parsed", () => {
  expect(parseInput(schema, { packages: { hold: "3d" } }, "f")).toEqual({ packages: { hold: "3d" } });
});
