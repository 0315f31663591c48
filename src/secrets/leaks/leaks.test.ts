/** What is found, what is not, wherever pieces begin and end. Tokens are made here: none of them ever opened anything. */
import { generateKeyPairSync, randomBytes, randomInt } from "node:crypto";
import { globSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Leak, LeakFinder, type LeakReport, MOST_LEAKS } from "./leak-finder.ts";

const DIGITS = "0123456789";
const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BASE62 = `${DIGITS}${UPPER}${UPPER.toLowerCase()}`;
const letters = (count: number, alphabet = BASE62): string => Array.from({ length: count }, () => alphabet[randomInt(alphabet.length)]).join("");
/** In base 62 with the digits first, six letters. */
function sum(text: string): string {
  let rest = BigInt(crc32(text));
  let out = "";
  for (let i = 0; i < 6; i++) {
    out = `${BASE62[Number(rest % 62n)]}${out}`;
    rest /= 62n;
  }
  return out;
}
function withSum(prefix: string): string {
  const payload = letters(30);
  return `${prefix}${payload}${sum(payload)}`;
}
const base64 = (bytes: number): string => randomBytes(bytes).toString("base64");
const segment = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = (claims: object): string => `${segment({ alg: "RS256", typ: "JWT" })}.${segment(claims)}.${randomBytes(32).toString("base64url")}`;
const newKey = (): string => generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const [pem, accountKey] = [newKey(), newKey()];
const locked = generateKeyPairSync("ec", { namedCurve: "P-256" })
  .privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" })
  .toString();
const awsId = (): string => `AKIA${letters(16, `${UPPER}234567`)}`;

async function found(text: string | Buffer, cuts: readonly number[] = []): Promise<LeakReport> {
  const finder = new LeakFinder(Date.UTC(2026, 10, 27));
  const bytes = Buffer.from(text);
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    finder.write(bytes.subarray(from, cut));
    from = cut;
  }
  return await finder.end();
}
const kinds = async (text: string): Promise<readonly string[]> => (await found(text)).leaks.map(({ kind, severity }) => `${kind} ${severity}`);

const POSITIVE: readonly (readonly [string, string, () => string])[] = [
  ...["ghp_", "gho_", "ghu_", "ghs_", "ghr_"].map((prefix) => [prefix, "github-token critical", () => withSum(prefix)] as const),
  ["GitHub, fine-grained", "github-token critical", () => `github_pat_${letters(22)}_${letters(59)}`],
  ["npm", "npm-token critical", () => withSum("npm_")],
  ["AWS, a key's id", "aws-access-key-id medium", awsId],
  ["AWS, its secret", "aws-secret-access-key critical", () => `aws_secret_access_key = ${base64(30)}`],
  ["AWS, in the environment", "aws-secret-access-key critical", () => `AWS_SECRET_ACCESS_KEY="${base64(30)}"`],
  ["AWS, in an answer", "aws-secret-access-key critical", () => `"SecretAccessKey": "${base64(30)}"`],
  ["Slack, bot", "slack-token critical", () => `xoxb-${letters(12, DIGITS)}-${letters(12, DIGITS)}-${letters(24)}`],
  ["Slack, app", "slack-token critical", () => `xapp-1-A${letters(10, `${UPPER}${DIGITS}`)}-${letters(13, DIGITS)}-${randomBytes(32).toString("hex")}`],
  ["Slack, webhook", "slack-webhook high", () => `https://hooks.slack.com/services/T${letters(9, UPPER)}/B${letters(9, UPPER)}/${letters(24)}`],
  ["Google, API key", "google-api-key high", () => `AIza${letters(35)}`],
  ["Google, OAuth secret", "google-oauth-secret critical", () => `GOCSPX-${letters(28)}`],
  [
    "Google, service account",
    "google-service-account-key critical",
    () => JSON.stringify({ type: "service_account", project_id: "p", private_key: accountKey }),
  ],
  ["Azure, storage", "azure-storage-key critical", () => `DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=${base64(64)};EndpointSuffix=core`],
  ["Azure, bus", "azure-shared-access-key critical", () => `Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=${base64(32)}`],
  ["Azure, application", "azure-client-secret critical", () => `${letters(3)}8Q~${letters(32)}`],
  ["JWT", "json-web-token medium", () => jwt({ iss: "https://accounts.acme", exp: 4_000_000_000 })],
  ["JWT that has expired", "json-web-token low", () => jwt({ iss: "https://accounts.acme", exp: 1_500_000_000 })],
  ["private key", "private-key critical", () => pem],
  ["private key in a program", "private-key critical", () => JSON.stringify(pem)],
  ["private key, old form", "private-key critical", () => pem.replaceAll("PRIVATE KEY", "RSA PRIVATE KEY").replaceAll("\n", "\r\n")],
  ["private key under a passphrase", "encrypted-private-key medium", () => locked],
  ["database", "connection-string high", () => `postgres://app:${letters(12)}@db.acme.net:5432/app`],
  ["address with a token", "connection-string high", () => `https://x:${letters(20)}@git.acme.net/acme/web.git`],
  ["database of one's own machine", "connection-string low", () => `mysql://app:${letters(12)}@localhost/app`],
  ["named", "named-secret low", () => `api_key: "Zq3${letters(10)}-Y7b${letters(10)}-8kQ"`],
  ["named, hex", "named-secret low", () => `SESSION_SECRET=${randomBytes(24).toString("hex")}`],
];

describe("found", () => {
  test.each(POSITIVE)("%s", async (_, wanted, make) => {
    for (let i = 0; i < 4; i++) {
      const value = make();
      for (const text of [value, `x\n  - "${value}"\n`, `\u001b[32m${value}\u001b[0m`, `${"noise ".repeat(12_000)}\n${value}\nmore`]) {
        const { leaks } = await found(text);
        // A random one may come to look like a placeholder, or too even: hardly ever.
        if (leaks.length === 0 && i > 0) continue;
        expect([text.slice(-300), leaks.map(({ kind, severity }) => `${kind} ${severity}`)]).toEqual([expect.any(String), [wanted]]);
      }
    }
  });

  test("a token that is known to be made right, and to be of no use", async () =>
    expect(await kinds("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")).toEqual(["github-token critical"]));

  test("the same value is told once, with how often; the same key written two ways has one fingerprint; nothing tells the value", async () => {
    const token = withSum("ghp_");
    const { leaks } = await found(`${token}\n${token}\n${pem}\n${JSON.stringify({ pem })}`);
    expect(leaks.map(({ kind, line, offset, times }) => [kind, line, offset, times])).toEqual([
      ["github-token", 1, 0, 2],
      ["private-key", 4, 110, 1],
      ["private-key", 3 + pem.split("\n").length, expect.any(Number), 1],
    ]);
    expect(leaks[1]?.fingerprint).toBe(leaks[2]?.fingerprint);
    const told = JSON.stringify(leaks);
    for (const part of [token.slice(4), token.slice(4, 14), pem.slice(40, 60)]) expect(told).not.toContain(part);
    expect(leaks.map(({ fingerprint }) => fingerprint)).toEqual(leaks.map(() => expect.stringMatching(/^[0-9a-f]{12}$/)));
  });
});

describe("not found", () => {
  test.each<[string, () => string]>([
    ["a checksum that differs", () => `${withSum("ghp_").slice(0, -1)}-`],
    ["GitHub's, too long", () => `${withSum("ghp_")}x`],
    ["GitHub's, within a word", () => `x${withSum("ghp_")}`],
    ["GitHub's, of a manual", () => `ghp_${"x".repeat(36)}`],
    ["npm's with another's sum", () => `npm_${letters(36)}`],
    ["AWS's example", () => "AKIAIOSFODNN7EXAMPLE"],
    ["AWS's example secret", () => "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
    ["Azure's emulator", () => "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="],
    ["three parts that are no JSON", () => `eyJ${letters(40)}.${letters(40)}.${letters(40)}`],
    ["words about a key", () => "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----"],
    ["a public key", () => pem.replaceAll("PRIVATE", "PUBLIC")],
    ["a password of a manual", () => `postgres://user:password@db.acme.net/app https://user:$${"{PASSWORD}"}@x.net http://a:xxxxxxxx@b.net`],
    ["an address without one", () => "https://acme.net:8080/@scope/name https://user@acme.net"],
    ["an integrity hash", () => `"integrity": "sha512-${base64(64)}"\n"token": "sha512-${base64(64)}"`],
    ["a name of something", () => "secretName: my-application-database-credentials-v2-prod\ntoken = someObject.getAccessTokenFromCache2()"],
    ["a masked value", () => "password: ***\ntoken=***"],
    ["an identifier", () => "token: 6f9619ff-8b86-d011-b42d-00cf4fc964ff"],
  ])("%s", async (_, make) => {
    expect(await kinds(make())).toEqual([]);
  });

  test("in what people publish: packages, their manuals, lockfiles", async () => {
    const root = fileURLToPath(new URL("../../..", import.meta.url));
    const all: Leak[] = [];
    let bytes = 0;
    const files = [
      ...globSync(`${root}/node_modules/{@types/node,fast-check,undici,yaml,zod,semver,ini,@biomejs/biome,vitest,vite}/**/*.{js,ts,md,json,mjs}`),
      ...globSync(`${root}/{.,bench,examples/*}/package-lock.json`),
    ];
    for (const path of files) {
      if (!statSync(path).isFile()) continue;
      const { leaks, bytes: size } = await found(readFileSync(path));
      bytes += size;
      if (path.endsWith("package-lock.json")) expect(leaks).toEqual([]);
      all.push(...leaks);
    }
    expect(bytes).toBeGreaterThan(5e6);
    expect(all.filter(({ severity }) => severity === "critical")).toEqual([]);
    // Manuals have addresses with made-up passwords.
    expect(all.length).toBeLessThanOrEqual(bytes / 5e6);
  });
});

describe("streams", () => {
  const noise = fc.array(fc.constantFrom("npm notice created\n", "at x (y.js:1:2)\n", "eyJ", "://", "token=", "-----BEGIN ", "\u001b[1m", "é", "ghp_"), {
    maxLength: 400,
  });

  /** Bytes that the finder looks through at once. */
  const PIECE = 65_536;

  test("property: each value, wherever pieces and cuts end, also within it; with its line and place", async () => {
    const values = POSITIVE.map(([, , make]) => make());
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(noise, fc.nat(3000), fc.constantFrom(...values)), { minLength: 1, maxLength: 3 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        async (parts, cuts) => {
          let text = "";
          const wanted: Leak["offset"][] = [];
          const lines: number[] = [];
          for (const [before, ahead, value] of parts) {
            text += `${before.join("")}\n`;
            // The end of a piece falls into what follows.
            text += `${" ".repeat(PIECE - ((text.length + ahead) % PIECE))}\n`;
            const alone = (await found(value)).leaks[0];
            if (alone !== undefined && !text.includes(value)) {
              wanted.push(Buffer.byteLength(text) + alone.offset);
              lines.push(text.split("\n").length - 1 + alone.line);
            }
            text += `${value}\n`;
          }
          const bytes = Buffer.from(text);
          const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((one, other) => one - other);
          const { leaks } = await found(bytes, places);
          expect(leaks.map(({ offset }) => offset)).toEqual(wanted);
          expect(leaks.map(({ line }) => line)).toEqual(lines);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("bytes of any kind, and more leaks than are told", async () => {
    expect((await found(randomBytes(300_000))).leaks.filter(({ severity }) => severity === "critical")).toEqual([]);
    const { leaks, more } = await found(Array.from({ length: 150 }, () => withSum("gho_")).join("\n"));
    expect([leaks.length, more]).toEqual([MOST_LEAKS, 50]);
  });

  test.each([
    "ghp_",
    "eyJ",
    "eyJa-",
    "://",
    "a://b:",
    "a://b:cdefgh@",
    "token=",
    "token: '",
    "-----BEGIN ",
    "-----BEGIN RSA PRIVATE KEY-----",
    "AKIA",
    "9Q~",
    "secret_access_key=A",
    "AccountKey=",
    "hooks.slack.com/",
    "passwpassw",
  ])("%j again and again takes as long as any other text", async (word) => {
    const text = word.repeat(Math.ceil(1_000_000 / word.length));
    const from = process.cpuUsage().user;
    const { bytes } = await found(text);
    expect(bytes).toBe(text.length);
    // 1 MB; an honest one takes 10 ms. Quadratic would be hours.
    expect((process.cpuUsage().user - from) / 1000).toBeLessThan(4000);
  });
});
