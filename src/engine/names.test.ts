import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { imagePath, objectPath, repositoryAndTag } from "./names.ts";

describe("images", () => {
  test.each([
    "busybox",
    "busybox:1.36",
    "library/busybox",
    "registry.example:5000/team/app_x/y.z--w:Tag-1.0_x",
    "REGISTRY.example/app",
    `sha256:${"a".repeat(64)}`,
    `app@sha256:${"0".repeat(64)}`,
    `localhost/app:1@sha256:${"0".repeat(64)}`,
    "a".repeat(64),
  ])("%s is one", (reference) => {
    expect(decodeURIComponent(imagePath(reference))).toBe(reference);
  });

  test.each([
    "",
    ".",
    "..",
    "../containers/json",
    "a/../b",
    "a//b",
    "/a",
    "a/",
    "a b",
    "a?b",
    "a#b",
    "a%2e",
    "App/x/Y",
    "a:",
    "a@sha256:zz",
    "a\nb",
    "-a",
    "x".repeat(600),
  ])("%j is none", (reference) => {
    expect(() => imagePath(reference)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test("a tag is told from a port", () => {
    expect(repositoryAndTag("host:5000/app")).toEqual({ repo: "host:5000/app", tag: "latest" });
    expect(repositoryAndTag("host:5000/app:1")).toEqual({ repo: "host:5000/app", tag: "1" });
    expect(() => repositoryAndTag(`app@sha256:${"0".repeat(64)}`)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});

test("whatever passes as a name stays one part of the path; the rest is refused", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "grapheme" }), fc.string({ unit: fc.constantFrom("a", ".", "/", "-", "_", "%", "?", "\0") })), (name) => {
      let path: string;
      try {
        path = objectPath("container", name);
      } catch (error) {
        expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
        return;
      }
      expect(new URL(`http://x/containers/${path}/kill`).pathname).toBe(`/containers/${name}/kill`);
    }),
  );
});

test("whatever passes as a reference leads to an image call", () => {
  const parts = fc.string({ unit: fc.constantFrom("a", "b", "A", ".", "/", "-", "_", ":", "@", "0", "sha256:", "%", ".."), maxLength: 20 });
  fc.assert(
    fc.property(parts, (reference) => {
      let path: string;
      try {
        path = imagePath(reference);
      } catch {
        return;
      }
      expect(decodeURIComponent(new URL(`http://x/images/${path}/json`).pathname)).toBe(`/images/${reference}/json`);
    }),
    { numRuns: 2000 },
  );
});
