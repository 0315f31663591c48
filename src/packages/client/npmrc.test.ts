import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connectionSettings, registrySettings } from "./connection.ts";
import type { NpmClient } from "./locate.ts";
import { expand, lookUp, type NpmrcFile, readNpmrc } from "./npmrc.ts";
import { Secret } from "./secret.ts";

let base: string;
let client: NpmClient;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "cofferdam-npmrc-"));
  for (const name of ["project", "home", "npm", "prefix/etc", "prefix/bin"]) mkdirSync(join(base, name), { recursive: true });
  client = { node: join(base, "prefix/bin/node"), script: join(base, "npm/bin/npm-cli.js"), folder: join(base, "npm"), version: "11.0.0" };
});
afterEach(() => rmSync(base, { recursive: true }));

const write = (path: string, text: string): void => writeFileSync(join(base, path), text);
const read = (env: NodeJS.ProcessEnv = {}, flags: Record<string, string> = {}): ReturnType<typeof readNpmrc> =>
  readNpmrc(join(base, "project"), client, { HOME: join(base, "home"), ...env }, new Map(Object.entries(flags)));

test("the order of trusted files is npm's; the project's stands apart", async () => {
  write("project/.npmrc", "registry=https://project.example/\n");
  write("home/.npmrc", "registry=https://user.example/\na=user\n");
  write("prefix/etc/npmrc", "registry=https://global.example/\na=global\nb=global\n");
  write("npm/npmrc", "b=builtin\nc=builtin\n");
  const { project, trusted } = await read({ npm_config_registry: "https://env.example/" }, { registry: "https://flag.example/" });
  expect(["registry", "a", "b", "c"].map((key) => lookUp(trusted, key))).toEqual(["https://flag.example/", "user", "global", "builtin"]);
  expect(lookUp((await read({ NPM_CONFIG_REGISTRY: "https://env.example/" })).trusted, "registry")).toBe("https://env.example/");
  expect(project?.entries).toEqual([{ key: "registry", value: "https://project.example/", line: 1 }]);
});

test("userconfig and prefix are followed", async () => {
  write("other", "x=1\n");
  write("prefix/etc/npmrc", "y=2\n");
  const { trusted } = await read({ npm_config_userconfig: join(base, "other"), npm_config_prefix: join(base, "prefix") });
  expect([lookUp(trusted, "x"), lookUp(trusted, "y")]).toEqual(["1", "2"]);
});

test("expansion, arrays, sections", async () => {
  write("home/.npmrc", `token=$${"{TOKEN}"}\nca[]=one\nca[]=two\nplain=$${"{UNSET}"}\n[section]\nhidden=1\n`);
  const { trusted } = await read({ TOKEN: "t" });
  expect([lookUp(trusted, "token"), lookUp(trusted, "ca"), lookUp(trusted, "plain"), lookUp(trusted, "hidden")]).toEqual([
    "t",
    ["one", "two"],
    `$${"{UNSET}"}`,
    undefined,
  ]);
  expect(expand(`$${"{A-b}"}$${"{C?}"}`, {})).toBe("b");
});

describe("a hostile project file", () => {
  test("a link is not followed", async () => {
    write("home/secret", "x=1\n");
    symlinkSync(join(base, "home/secret"), join(base, "project/.npmrc"));
    await expect(read()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("256 KiB pass, one byte more does not", async () => {
    write("project/.npmrc", "#".repeat(256 * 1024));
    expect((await read()).project?.entries).toEqual([]);
    write("project/.npmrc", "#".repeat(256 * 1024 + 1));
    await expect(read()).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  });

  test("keys of object internals", async () => {
    write("project/.npmrc", "__proto__=x\nconstructor=y\n");
    expect((await read()).project?.entries.map((entry) => entry.key)).not.toContain("toString");
    expect(Object.prototype).not.toHaveProperty("x");
  });
});

const files = (entries: Record<string, string | string[]>): NpmrcFile[] => [
  { path: "f", entries: Object.entries(entries).map(([key, value]) => ({ key, value, line: undefined })) },
];

describe("connections", () => {
  const authorization = (entries: Record<string, string>, url: string): string | undefined =>
    connectionSettings(files(entries), {}, "ua").authorization(new URL(url));

  test("the longest address prefix wins, and other hosts and ports get nothing", () => {
    const entries = { "//r.example/:_authToken": "root", "//r.example/npm/:_authToken": "npm", "//r.example:8443/:_authToken": "port" };
    expect(authorization(entries, "https://r.example/x")).toBe("Bearer root");
    expect(authorization(entries, "https://r.example/npm/x/-/x.tgz")).toBe("Bearer npm");
    expect(authorization(entries, "https://r.example/npmx/")).toBe("Bearer root");
    expect(authorization(entries, "https://r.example:8443/x")).toBe("Bearer port");
    expect(authorization(entries, "https://evil.example/npm/")).toBeUndefined();
    expect(authorization(entries, "https://r.example.evil.example/")).toBeUndefined();
  });

  test("basic credentials", () => {
    const both = { "//r.example/:username": "u", "//r.example/:_password": Buffer.from("p").toString("base64") };
    expect(authorization(both, "https://r.example/")).toBe(`Basic ${Buffer.from("u:p").toString("base64")}`);
    expect(authorization({ "//r.example/:_auth": "dTpw" }, "https://r.example/")).toBe("Basic dTpw");
  });

  test("proxies and their exceptions", () => {
    const { proxyFor } = connectionSettings(
      files({ "https-proxy": "http://p.example:1", proxy: "http://q.example:2", noproxy: "inner.example,.corp.example" }),
      {},
      "ua",
    );
    expect(["https://a.example/", "http://a.example/", "https://inner.example/", "https://x.corp.example/"].map((url) => proxyFor(new URL(url)))).toEqual([
      "http://p.example:1",
      "http://q.example:2",
      undefined,
      undefined,
    ]);
    expect(connectionSettings([], { HTTPS_PROXY: "http://env.example:3" }, "ua").proxyFor(new URL("https://a.example/"))).toBe("http://env.example:3");
  });

  test("certificates", () => {
    write("ca.pem", "PEM");
    expect(connectionSettings(files({ cafile: join(base, "ca.pem") }), {}, "ua").ca).toEqual(["PEM"]);
    expect(connectionSettings(files({ ca: ["one\\ntwo"] }), {}, "ua").ca).toEqual(["one\ntwo"]);
    expect(() => connectionSettings(files({ cafile: join(base, "none") }), {}, "ua")).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    expect(connectionSettings(files({ "strict-ssl": "false" }), {}, "ua").verifyTls).toBe(false);
  });

  test("registries by scope, the strongest file first", () => {
    const settings = registrySettings([
      ...files({ registry: "https://one.example/", "@a:registry": "https://a1.example/" }),
      ...files({ registry: "https://two.example/", "@a:registry": "https://a2.example/", "@b:registry": "https://b.example/" }),
    ]);
    expect(settings.registry).toBe("https://one.example/");
    expect([...settings.scopes]).toEqual([
      ["@a", "https://a1.example/"],
      ["@b", "https://b.example/"],
    ]);
  });

  test("a secret does not print", () => {
    const secret = new Secret("hunter2");
    expect(`${secret} ${JSON.stringify({ secret })} ${inspect(secret, { depth: 9, showHidden: true })}`).not.toContain("hunter2");
    expect(secret.reveal()).toBe("hunter2");
  });
});
