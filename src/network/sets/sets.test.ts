import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseRule } from "../rules/index.ts";
import { aptSet, parseList, parseStanzas } from "./apt.ts";
import { cargoSet } from "./cargo.ts";
import { rulesOfAddresses } from "./configured-set.ts";
import { expandSets, setNames } from "./expand.ts";
import { goSet } from "./go.ts";
import { type SetHost, setHost } from "./host.ts";
import { npmSet } from "./npm.ts";
import { pipSet } from "./pip.ts";
import { PUBLISHED_SETS } from "./published.ts";

/** A host on which programs say this and files hold that. */
function host(parts: { said?: Readonly<Record<string, string>>; files?: Readonly<Record<string, string>>; env?: Readonly<Record<string, string>> }): SetHost {
  const { said = {}, files = {}, env = {} } = parts;
  return {
    env,
    home: "/home/ci",
    read: async (path) => await Promise.resolve(files[path]),
    list: async (folder) => {
      const inside = Object.keys(files).filter((path) => path.startsWith(`${folder}/`));
      return await Promise.resolve([...new Set(inside.map((path) => `${folder}/${path.slice(folder.length + 1).split("/")[0] ?? ""}`))].sort());
    },
    ask: async (program, args) => await Promise.resolve(said[`${program} ${args.find((arg) => /^(?:config|env|-c)$/.test(arg)) ?? ""}`]),
  };
}

test("published sets are rules, each for one port, with a source and a date", () => {
  for (const { rules, source, date } of PUBLISHED_SETS) {
    for (const rule of rules) expect(parseRule(rule, "allow").port).toBe(443);
    expect(source.length).toBeGreaterThan(20);
    expect(date).toMatch(/^\d{4}-\d\d-\d\d$/);
  }
  expect(new Set(setNames()).size).toBe(setNames().length);
});

test("npm: the registry and those of scopes, without what else is set", async () => {
  const said = {
    "npm config": JSON.stringify({
      registry: "https://packages.example/npm/",
      "@acme:registry": "http://npm.acme.example:4873",
      "replace-registry-host": "npmjs",
      "@acme:x": 1,
    }),
  };
  expect(await npmSet.resolve(host({ said }))).toEqual({ rules: ["packages.example:443", "npm.acme.example:4873"], notes: [] });
  for (const bad of [undefined, "", "[]", "nonsense", '{"registry": 5}'])
    expect((await npmSet.resolve(host({ said: bad === undefined ? {} : { "npm config": bad } }))).rules).toEqual([]);
});

test("pip: what it is set to, or its own index with the place of its files", async () => {
  const list =
    "global.index-url='https://user:secret@pypi.acme.example/simple'\nglobal.extra-index-url='\\nhttps://a.example/simple\\nhttps://b.example:8443/simple'\nglobal.timeout='60'\n";
  expect(await pipSet.resolve(host({ said: { "python3 config": list } }))).toEqual({
    rules: ["pypi.acme.example:443", "a.example:443", "b.example:8443"],
    notes: ["files that an index keeps elsewhere are not known here"],
  });
  const own = { "python3 config": "global.timeout='60'\n", "python3 -c": "https://index.example/simple\nhttps://files.example\n" };
  expect(await pipSet.resolve(host({ said: own }))).toEqual({ rules: ["index.example:443", "files.example:443"], notes: [] });
  expect(await pipSet.resolve(host({ said: { "python3 config": "" } }))).toEqual({ rules: [], notes: ["pip does not tell its own index"] });
});

test("go: proxies and the checksum database; direct is told", async () => {
  const env = (GOPROXY: string, GOSUMDB: string) => host({ said: { "go env": JSON.stringify({ GOPROXY, GOSUMDB }) } });
  expect(await goSet.resolve(env("https://a.example|https://b.example,direct", "sum.example"))).toEqual({
    rules: ["a.example:443", "b.example:443", "sum.example:443"],
    notes: ["direct: what no proxy has comes from its own host, which is not known here"],
  });
  expect((await goSet.resolve(env("file:///srv,off", "db.example+1a2b+AbCd https://mirror.example/db"))).rules).toEqual(["mirror.example:443"]);
  expect((await goSet.resolve(env("off", "off"))).rules).toEqual([]);
});

test("cargo: its configuration in each way to write it, its environment, and the registries that it used", async () => {
  const config = [
    '# [registries.off]\n# index = "https://no.example"',
    '[registries]\none = { index = "sparse+https://one.example/index/" }',
    '[registries.two]\nindex = "https://two.example/git"   # a comment\ntoken = "https://secret.example"',
    "[source.crates-io]\nreplace-with = 'mirror'\n[source.mirror]\nregistry = 'sparse+https://mirror.example:8443/'",
    '[source."local"]\ndirectory = "vendor"',
    '[net]\nindex = "https://not.example"',
  ].join("\n");
  const files = {
    "/home/ci/.cargo/config.toml": config,
    "/home/ci/.cargo/registry/index/index.used.example-1949cf8c6b5b557f/config.json":
      '{"dl":"https://static.used.example/crates","api":"https://used.example"}',
    "/home/ci/.cargo/registry/index/broken-1949cf8c6b5b557f/config.json": "{",
  };
  expect(await cargoSet.resolve(host({ files, env: { CARGO_REGISTRIES_THREE_INDEX: "sparse+https://three.example/" } }))).toEqual({
    rules: [
      "one.example:443",
      "two.example:443",
      "mirror.example:8443",
      "three.example:443",
      "index.used.example:443",
      "static.used.example:443",
      "used.example:443",
    ],
    notes: [],
  });
  expect((await cargoSet.resolve(host({}))).rules).toEqual([]);
});

test("apt: lines and stanzas, options, what is off, what is not of the network", async () => {
  const files = {
    "/etc/apt/sources.list":
      "# deb http://off.example x\ndeb http://one.example/debian trixie main\n deb-src [arch=amd64 signed-by=/k] https://two.example/d trixie main\ndeb cdrom:[x] trixie main\n",
    "/etc/apt/sources.list.d/a.sources":
      "Types: deb\nURIs: https://three.example/a\n  http://four.example:8080/b\nSuites: x\n\n# a comment\nTypes: deb\nEnabled: no\nURIs: https://off.example\n",
    "/etc/apt/sources.list.d/b.list": "deb mirror+https://five.example/list x main\n",
    "/etc/apt/sources.list.d/c.list.disabled": "deb http://off.example x main\n",
  };
  expect(await aptSet.resolve(host({ files }))).toEqual({
    rules: ["one.example:80", "two.example:443", "three.example:443", "four.example:8080", "five.example:443"],
    notes: ["a list of mirrors: the mirrors in it are not known here"],
  });
});

test("a list with sets in it: sets are replaced, rules stand, cautions and typos are told, an empty set is an error", async () => {
  const said = { "npm config": '{"registry":"https://packages.example"}' };
  const expanded = await expandSets(["github-actions-storage", "npm", "packages.example:443", "*.a.example", "github-action"], host({ said }));
  expect(expanded.rules).toEqual([
    "results-receiver.actions.githubusercontent.com:443",
    "*.blob.core.windows.net:443",
    "packages.example:443",
    "*.a.example",
    "github-action",
  ]);
  expect(expanded.from.get("packages.example:443")).toBe("npm");
  expect(expanded.notes).toEqual([
    "github-actions-storage: everybody can rent a name below *.blob.core.windows.net, an attacker too",
    "github-action is taken for a host's name; the set is called github-actions",
  ]);
  await expect(expandSets(["cargo"], host({}))).rejects.toMatchObject({
    code: "FAILED_PRECONDITION",
    message: expect.stringContaining("the set cargo is empty here: cargo is set to no registry"),
  });
});

test("addresses: credentials and paths are left out of rules and of notes; addresses by number are told", () => {
  expect(rulesOfAddresses(["https://u:p@a.example/x", "ftp://b.example", "https://192.0.2.7/", "nonsense", "http://[2001:db8::1]:81/"])).toEqual({
    rules: ["a.example:443"],
    notes: [
      '"ftp://b.example" is no address of the web',
      '"https://192.0.2.7/" is not by a name: allow its address by a rule',
      '"nonsense" is no address of the web',
      '"http://[2001:db8::1]:81/" is not by a name: allow its address by a rule',
    ],
  });
  expect(rulesOfAddresses(["ftp://user:secret@b.example"]).notes).toEqual(['"ftp://b.example" is no address of the web']);
  const many = rulesOfAddresses(Array.from({ length: 600 }, (_, i) => `https://h${i}.example`));
  expect([many.rules.length, many.notes]).toEqual([500, ["only the first 500 addresses count"]]);
});

test("whatever a file or a program says, the rules can be read as rules", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.constantFrom("deb ", "URIs: ", '[registries.a]\nindex = "', '{"registry":"https://', "global.index-url='https://"),
      async (noise, start) => {
        const text = `${start}${noise}"}'\n`;
        for (const set of [npmSet, pipSet, goSet, cargoSet, aptSet]) {
          const files = { "/etc/apt/sources.list": text, "/etc/apt/sources.list.d/a.sources": text, "/home/ci/.cargo/config.toml": text };
          const { rules } = await set.resolve(host({ said: { "npm config": text, "python3 config": text, "python3 -c": text, "go env": text }, files }));
          for (const rule of rules) parseRule(rule, "allow");
        }
        parseList(text);
        parseStanzas(text);
      },
    ),
    { numRuns: 300 },
  );
});

test("this host: files within bounds, programs that answer or do not, npm as it is set", async () => {
  const home = await mkdtemp(join(tmpdir(), "sets-"));
  await writeFile(join(home, ".npmrc"), "registry=https://npm.acme.example/\n@x:registry=https://x.acme.example/\n//npm.acme.example/:_authToken=secret\n");
  const here = setHost({ PATH: process.env["PATH"], HOME: home });
  const { rules } = await npmSet.resolve(here);
  expect(rules).toEqual(expect.arrayContaining(["npm.acme.example:443", "x.acme.example:443"]));
  expect(await here.ask("no-such-program", [])).toBeUndefined();
  expect(await here.ask("node", ["-e", "console.log('x'.repeat(3e6))"])).toBeUndefined();
  expect(await here.list(join(home, "none"))).toEqual([]);
  await mkdir(join(home, ".cargo"));
  await writeFile(join(home, ".cargo", "config.toml"), "x".repeat(1_100_000));
  await expect(cargoSet.resolve(here)).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
});
