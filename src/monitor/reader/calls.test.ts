import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { requires } from "../../../test/world/needs.ts";
import { packageFolder } from "../../foundation/index.ts";
import { CALL_NAMES } from "./calls.ts";

test("the list of calls is the built sensor's own, in its order", (context) => {
  requires(context, "sensor");
  const lines = execFileSync(join(packageFolder(), "dist", "native", `cofferdam-sensor-${process.arch}`), ["calls"], { encoding: "utf8" });
  expect(CALL_NAMES.slice(1)).toEqual(lines.trim().split("\n"));
});
