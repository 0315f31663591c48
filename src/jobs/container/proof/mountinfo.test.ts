/** mountinfo as kernels write it, and as nobody should. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { CofferdamError } from "../../../foundation/index.ts";
import { parseMountinfo } from "./mountinfo.ts";

test("this machine's own is read whole, as findmnt's fields", () => {
  const text = readFileSync("/proc/self/mountinfo", "utf8");
  const entries = parseMountinfo(text);
  expect(entries).toHaveLength(text.trimEnd().split("\n").length);
  expect(entries.map(({ device }) => device)).toEqual(
    text
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" ")[2]),
  );
});

test("optional fields, empty sources, escaped names, options of the file system", () => {
  const [plain, shared, empty, odd] = parseMountinfo(
    [
      "98 72 0:40 / / rw,relatime - overlay overlay rw,lowerdir=/a:/b",
      "99 98 0:43 /sys /proc/sys ro,nosuid shared:3 master:2 propagate_from:1 - proc proc rw",
      "100 98 0:44 / /fuse rw -  fuse  rw",
      "101 98 254:0 /a\\040b /with\\011tab\\134and\\012line ro - ext4 /dev/a\\040b rw",
      "",
    ]
      .join("\n")
      .replace("-  fuse  rw", "- fuse  rw"),
  );
  expect(plain).toMatchObject({ device: "0:40", root: "/", target: "/", type: "overlay" });
  expect(plain?.superFlags.has("lowerdir=/a:/b")).toBe(true);
  expect(shared).toMatchObject({ root: "/sys", target: "/proc/sys", type: "proc" });
  expect([...(shared?.flags ?? [])]).toEqual(["ro", "nosuid"]);
  expect(empty).toMatchObject({ target: "/fuse", type: "fuse" });
  expect(odd).toMatchObject({ root: "/a b", target: "/with\ttab\\and\nline" });
});

test("property: a text is read line for line, or refused as a whole", () => {
  const line = fc.oneof(fc.constant("1 2 0:1 / /a rw - tmpfs tmpfs rw"), fc.string({ maxLength: 40 }));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 5 }), (lines) => {
      const text = lines.join("\n");
      try {
        expect(parseMountinfo(text)).toHaveLength(text.split("\n").filter((one) => one !== "").length);
      } catch (error) {
        expect(error).toBeInstanceOf(CofferdamError);
      }
    }),
  );
  expect(() => parseMountinfo("1 2 0:1 / /a rw - tmpfs tmpfs rw\n".repeat(5000))).toThrow(/5000 mounts/);
});
