import { describe, expect, test } from "vitest";
import { strongestDigest } from "./digest.ts";
import { assertRedirect, type RedirectRule } from "./redirect.ts";
import { Registries } from "./registries.ts";

describe("redirects", () => {
  const ok = (from: string, to: string, rule: RedirectRule = "any-host"): boolean => {
    try {
      assertRedirect(new URL(from), new URL(to), rule);
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: "SECURITY_VIOLATION" });
      return false;
    }
  };
  test.each([
    ["https://r.example/a", "https://r.example/b", true],
    ["https://r.example/a", "https://cdn.example/b", true],
    ["https://r.example/a", "http://cdn.example/b", false],
    ["https://r.example/a", "http://r.example/b", false],
    ["https://r.example/a", "ftp://cdn.example/b", false],
    ["https://r.example/a", "file:///etc/passwd", false],
    ["https://r.example/a", "https://user:pw@cdn.example/b", false],
    ["https://r.example/a", "https://127.0.0.1/b", false],
    ["https://r.example/a", "https://localhost/b", false],
    ["https://r.example/a", "https://10.1.2.3/b", false],
    ["https://r.example/a", "https://[::1]/b", false],
    ["https://r.example/a", "https://[::ffff:10.0.0.1]/b", false],
    ["https://r.example/a", "https://169.254.169.254/b", false],
    ["http://10.0.0.1/a", "http://169.254.169.254/b", false],
    ["http://10.0.0.1/a", "http://10.0.0.2/b", true],
    // The same address in other spellings: URL brings them to one.
    ["https://r.example/a", "https://2130706433/b", false],
    ["https://r.example/a", "https://0x7f.1/b", false],
  ])("%s -> %s: %s", (from, to, expected) => {
    expect(ok(from, to)).toBe(expected);
  });

  test("metadata stays on its origin", () => {
    expect(ok("https://r.example/a", "https://r.example/b", "same-origin")).toBe(true);
    expect(ok("https://r.example/a", "https://cdn.example/b", "same-origin")).toBe(false);
  });
});

describe("registries", () => {
  const registries = new Registries("https://art.example/api/npm", new Map([["@acme", "https://acme.example/"]]));

  test("by scope, and conventional addresses", () => {
    expect(registries.metadataUrl("a").href).toBe("https://art.example/api/npm/a");
    expect(registries.metadataUrl("@acme/b").href).toBe("https://acme.example/@acme%2fb");
    expect(registries.conventionalUrl("@acme/b", "1.0.0+build").href).toBe("https://acme.example/@acme/b/-/b-1.0.0.tgz");
  });

  test("`resolved` as npm reads it: known hosts stand, others become a path on the package's registry", () => {
    expect(registries.locate("a", "https://art.example/api/npm/a/-/a-1.tgz", []).href).toBe("https://art.example/api/npm/a/-/a-1.tgz");
    expect(registries.locate("a", "https://elsewhere.example/a/-/a-1.tgz", []).href).toBe("https://art.example/api/npm/a/-/a-1.tgz");
    expect(registries.locate("a", "https://elsewhere.example/api/npm/a/-/a-1.tgz", []).href).toBe("https://art.example/api/npm/a/-/a-1.tgz");
    expect(registries.locate("a", "https://mirror.example/x/a.tgz", ["https://mirror.example/x/"]).href).toBe("https://mirror.example/x/a.tgz");
  });

  test("credentials in an address are dropped; what is no address is refused", () => {
    expect(new Registries("https://u:p@r.example/", new Map()).all[0]?.base.href).toBe("https://r.example/");
    expect(() => new Registries("ftp://r.example/", new Map())).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});

test("the digest that a client looks up", () => {
  const sha512 = `sha512-${Buffer.alloc(64, 7).toString("base64")}`;
  expect(strongestDigest(`sha1-${Buffer.alloc(20).toString("base64")} ${sha512}?x`)).toEqual({ algorithm: "sha512", hex: "07".repeat(64) });
  expect(strongestDigest("sha512-AAAA")).toBeUndefined();
  expect(strongestDigest("md5-AAAA")).toBeUndefined();
});
