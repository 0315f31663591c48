import { expect, test } from "vitest";
import { parseNetTarget } from "./net-target.ts";

test.each([
  ["registry.example:443", "registry.example:443"],
  ["Registry.EXAMPLE:0443", "registry.example:443"],
  ["a:1", "a:1"],
  ["under_score.example:65535", "under_score.example:65535"],
])("%s is %s", (text, target) => expect(parseNetTarget(text)).toBe(target));

test.each([
  "registry.example",
  "registry.example:",
  "registry.example:0",
  "registry.example:65536",
  "registry.example:443x",
  ":443",
  "*.example:443",
  "127.0.0.1:443",
  "[::1]:443",
  "::1:443",
  "-a.example:443",
  "a.example.:443",
  "a b:443",
  "http://a.example:443",
  "a.example:443/path",
  "127.1:443",
  "2130706433:443",
  "0x7f000001:443",
  "0177.0.0.1:443",
  "",
])("%j is refused", (text) => expect(() => parseNetTarget(text)).toThrow(/is not a name with a port/));
