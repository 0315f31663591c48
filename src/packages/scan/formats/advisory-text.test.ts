import fc from "fast-check";
import { expect, test } from "vitest";
import { advisoryPage, bounded, webAddresses } from "./advisory-text.ts";
import { npmPackageUrl } from "./package-url.ts";

test("only addresses of the web, each once, in their normal form", () => {
  const odd = ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "", "/relative", "https://", `https://a.example/${"x".repeat(3000)}`];
  expect(webAddresses([...odd, "https://a.example/x y", "HTTPS://A.example/x%20y", "http://b.example"], 10)).toEqual([
    "https://a.example/x%20y",
    "http://b.example/",
  ]);
  expect(webAddresses(["https://a.example", "https://b.example"], 1)).toEqual(["https://a.example/"]);
});

test("an id leads to who publishes it, and never out of that page's folder", () => {
  expect(advisoryPage("GHSA-1").url).toBe("https://github.com/advisories/GHSA-1");
  expect(advisoryPage("CVE-2026-1").name).toBe("NVD");
  expect(advisoryPage("MAL-2026-1").url).toBe("https://osv.dev/vulnerability/MAL-2026-1");
  expect(advisoryPage("../x?y#z").url).toBe("https://osv.dev/vulnerability/..%2Fx%3Fy%23z");
});

test("property: bounded texts are whole characters and not longer", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 3, max: 40 }), (text, most) => {
      const short = bounded(text, most);
      expect(short.length).toBeLessThanOrEqual(most);
      expect(short.isWellFormed()).toBe(true);
      if (text.length <= most) expect(short).toBe(text.toWellFormed());
    }),
  );
});

test("package URLs", () => {
  expect(npmPackageUrl("@angular/animation", "12.3.1")).toBe("pkg:npm/%40angular/animation@12.3.1");
  expect(npmPackageUrl("a", "1.0.0-rc.1+build~2")).toBe("pkg:npm/a@1.0.0-rc.1%2Bbuild~2");
  expect(npmPackageUrl("JSONStream", undefined)).toBe("pkg:npm/JSONStream");
  expect(npmPackageUrl("a'(b)!*", "1 ?#@")).toBe("pkg:npm/a%27%28b%29%21%2A@1%20%3F%23%40");
});
