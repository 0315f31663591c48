/** Tokens of jobs from an issuer of our own over https, good ones and every wrong one. */
import { createHash, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type IdentityWorld, identityWorld, T0 } from "../../../test/world/identity.ts";
import { type Claims, Issuer, jwkOf, part } from "../../../test/world/issuer.ts";
import { has, requires } from "../../../test/world/needs.ts";
import type { Identity } from "./identity.ts";
import type { JobTokenOptions } from "./oidc/options.ts";

const AUDIENCE = "cofferdam.acme.example";
const HOUR = 3_600_000;
const base = mkdtempSync(join(tmpdir(), "cofferdam-issuer-"));
let issuer: Issuer;
let firstPage: string;
beforeAll(async () => {
  if (!has("openssl")) return;
  issuer = new Issuer(join(base, "tls"));
  firstPage = issuer.page;
  await issuer.start();
});
afterAll(async () => {
  if (has("openssl")) await issuer.stop();
  rmSync(base, { recursive: true });
});

let made = 0;
/** Claims as they are in a run of a workflow. */
function claims(more: Claims = {}): Claims {
  made += 1;
  const now = T0 / 1000;
  return {
    jti: `00000000-0000-4000-8000-${String(made).padStart(12, "0")}`,
    sub: "repo:Acme/Web:ref:refs/heads/main",
    aud: AUDIENCE,
    iss: issuer.url,
    iat: now,
    nbf: now - 300,
    exp: now + 600,
    ref: "refs/heads/main",
    sha: "a".repeat(40),
    repository: "Acme/Web",
    repository_id: "4711",
    repository_owner: "Acme",
    event_name: "push",
    job_workflow_ref: "Acme/Web/.github/workflows/release.yml@refs/heads/main",
    run_id: "990",
    run_attempt: "1",
    actor_id: "7",
    runner_environment: "self-hosted",
    ...more,
  };
}

async function world(options: Partial<JobTokenOptions> = {}): Promise<IdentityWorld & { readonly again: IdentityWorld["again"] }> {
  const jobTokens = { audience: AUDIENCE, issuer: issuer.url, ca: issuer.ca, accept: [{ repositoryId: "4711" }], ...options };
  issuer.page = firstPage;
  issuer.status = 200;
  return await identityWorld({ jobTokens });
}

const refused = (message: RegExp, code = "UNAUTHENTICATED"): object => expect.objectContaining({ code, message: expect.stringMatching(message) });

test("a job's identity: exact, once, on record", async (context) => {
  requires(context, "openssl");
  await using at = await world();
  const { jobTokens } = at.identity;
  const token = issuer.token(claims());
  const identity = await jobTokens.verifyJobToken(token, { ipAddress: "10.0.0.9" });
  expect(identity).toMatchObject({
    repositoryId: "4711",
    repository: "acme/web",
    eventName: "push",
    jobWorkflowRef: "Acme/Web/.github/workflows/release.yml@refs/heads/main",
    runId: "990",
    runAttempt: "1",
    standing: "inside",
    authentication: undefined,
  });
  await expect(jobTokens.verifyJobToken(token)).rejects.toThrow(refused(/shown before/));
  // Another process, another day of the wall clock: it stays used.
  at.time.wall -= 24 * HOUR;
  await expect((await at.again()).jobTokens.verifyJobToken(token)).rejects.toThrow(refused(/shown before/));
  at.time.wall += 24 * HOUR;
  await jobTokens.verifyJobToken(issuer.token(claims(), { alg: "ES256", kid: "ec-1" }));
  expect(await at.actions()).toEqual(["job_token_accepted", "job_token_refused refused", "job_token_refused refused", "job_token_accepted"]);
  expect(JSON.stringify(await at.events())).not.toContain(token.split(".")[2]);
});

test("of twenty that show one token at the same time, one is let in", async (context) => {
  requires(context, "openssl");
  await using at = await world();
  const other = await at.again();
  const token = issuer.token(claims());
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? at.identity : other).jobTokens.verifyJobToken(token)));
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("every wrong token is refused, typed and on record", async (context) => {
  requires(context, "openssl");
  await using at = await world();
  const good = claims();
  const header = { alg: "RS256", kid: "rsa-1", typ: "JWT" };
  const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const now = T0 / 1000;
  const [head = "", body = "", signature = ""] = issuer.token(good).split(".");
  const twice = JSON.stringify(good).replace("{", '{"repository_id":"1",');
  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ["alg none", `${part({ alg: "none", kid: "rsa-1" })}.${part(good)}.`, /three parts/],
    ["alg none with a signature", `${part({ alg: "none", kid: "rsa-1" })}.${part(good)}.${signature}`, /algorithm/],
    ["alg nOnE", `${part({ alg: "nOnE", kid: "rsa-1" })}.${part(good)}.${signature}`, /algorithm/],
    ["HS256 with the public key", issuer.confused(good), /algorithm/],
    ["PS256", issuer.token(good, { ...header, alg: "PS256" }), /algorithm/],
    ["the other algorithm's key", issuer.token(good, { ...header, alg: "ES256" }), /another algorithm/],
    ["RS256 over the EC key's id", issuer.token(good, { ...header, kid: "ec-1" }), /another algorithm/],
    ["an unknown key", issuer.token(good, { ...header, kid: "rsa-2" }), /none of the issuer/],
    ["a path as key id", issuer.token(good, { ...header, kid: "../../etc/passwd" }), /none of the issuer/],
    ["no key id", issuer.token(good, { alg: "RS256" }), /kid/],
    ["jku", issuer.token(good, { ...header, jku: "https://127.0.0.1:1/jwks" }), /jku: unknown key/],
    ["x5u", issuer.token(good, { ...header, x5u: "https://127.0.0.1:1/cert" }), /x5u: unknown key/],
    ["x5c", issuer.token(good, { ...header, x5c: ["AAAA"] }), /x5c: unknown key/],
    ["jwk", issuer.token(good, { ...header, jwk: jwkOf(stranger.publicKey, {}) }), /jwk: unknown key/],
    ["crit", issuer.token(good, { ...header, crit: ["exp"] }), /crit: unknown key/],
    ["b64", issuer.token(good, { ...header, b64: false }), /b64: unknown key/],
    ["a header twice", issuer.token(good, '{"alg":"RS256","kid":"rsa-1","alg":"none"}'), /stands twice/],
    ["claims twice", issuer.token(twice), /stands twice/],
    [
      "10,000 claims",
      issuer.token(JSON.stringify({ ...good, ...Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [n.toString(36), 0])) })),
      /more than/,
    ],
    ["3,000 small claims", issuer.token({ ...good, list: Array(3000).fill(0) }), /more than 2000 parts/],
    ["oversized", issuer.token(claims({ ref: "x".repeat(20_000) })), /more than 16384/],
    ["deep", issuer.token(claims({ deep: JSON.parse("[".repeat(20) + "]".repeat(20)) })), /nested deeper/],
    ["claims that are a list", issuer.token("[1]"), /not verify/],
    ["no JSON", issuer.token("claims"), /not JSON/],
    ["a stranger's signature", `${head}.${body}.${Buffer.from(signature, "base64url").reverse().toString("base64url")}`, /signature/],
    ["no signature", `${head}.${body}.`, /three parts/],
    ["other claims under the signature", `${head}.${part(claims({ repository_id: "1" }))}.${signature}`, /signature/],
    ["leftover bits", `${head}=.${body}.${signature}`, /three parts/],
    ["another audience", issuer.token(claims({ aud: "https://github.com/acme" })), /aud/],
    ["our audience among others", issuer.token(claims({ aud: [AUDIENCE, "x"] })), /aud/],
    ["no audience", issuer.token(claims({ aud: undefined })), /aud/],
    ["another issuer", issuer.token(claims({ iss: `${issuer.url}/` })), /iss/],
    ["over", issuer.token(claims({ iat: now - 700, exp: now - 61 })), /over/],
    ["not yet", issuer.token(claims({ nbf: now + 120 })), /nbf/],
    ["made in the future", issuer.token(claims({ iat: now + 120 })), /future/],
    ["good for a day", issuer.token(claims({ exp: now + 86_400 })), /good for more than/],
    ["no end", issuer.token(claims({ exp: undefined })), /exp/],
    ["an end that is no number", issuer.token(claims({ exp: "9999999999" })), /exp/],
    ["no jti", issuer.token(claims({ jti: undefined })), /jti/],
    ["no run", issuer.token(claims({ run_id: undefined })), /run_id/],
    ["a repository that is a number", issuer.token(claims({ repository_id: 4711 })), /repository_id/],
    ["another repository of the name", issuer.token(claims({ repository_id: "4712" })), /no rule/],
    ["a name with a line feed", issuer.token(claims({ sub: "repo:a/b\nadmin" })), /sub/],
    ["nothing", "", /three parts/],
    ["a session", "cfds_abc", /three parts/],
  ];
  // At the same time: the trail answers those past the twentieth in a minute together.
  await Promise.all(wrong.map(([name, token, message]) => expect(at.identity.jobTokens.verifyJobToken(token), name).rejects.toThrow(refused(message))));
  // Each was refused for what is wrong with it alone: the one that it was made of is good.
  await at.identity.jobTokens.verifyJobToken(issuer.token(good));
  const counted = (await at.events())
    .filter(({ action }) => action === "job_token_refused")
    .map(({ details }) => Number(Object(details?.["coalesced"]).count ?? 1));
  expect(counted.reduce((sum, one) => sum + one, 0)).toBe(wrong.length);
});

test("within a minute of skew it is still, or already, good", async (context) => {
  requires(context, "openssl");
  await using at = await world();
  const now = T0 / 1000;
  await at.identity.jobTokens.verifyJobToken(issuer.token(claims({ iat: now - 700, exp: now - 59 })));
  await at.identity.jobTokens.verifyJobToken(issuer.token(claims({ nbf: now + 59, iat: now + 59 })));
});

test("what a rule asks for must be exactly so", async (context) => {
  requires(context, "openssl");
  const workflow = "Acme/Web/.github/workflows/release.yml@refs/heads/main";
  await using at = await world({
    accept: [{ repositoryId: "4711", events: ["push"], workflows: [workflow], subjects: ["repo:Acme/Web:ref:refs/heads/main"], environments: ["production"] }],
  });
  const { jobTokens } = at.identity;
  await jobTokens.verifyJobToken(issuer.token(claims({ environment: "production" })));
  for (const more of [
    {},
    { environment: "Production" },
    { environment: "production", event_name: "release" },
    { environment: "production", job_workflow_ref: `${workflow}x` },
    { environment: "production", sub: "repo:Acme/Web:*" },
  ])
    await expect(jobTokens.verifyJobToken(issuer.token(claims(more))), JSON.stringify(more)).rejects.toThrow(refused(/no rule/));
});

test("a session for a job: of the user that its rule names, in its repository, for the token's life; none for what strangers start", async (context) => {
  requires(context, "openssl");
  await using at = await world({ accept: [{ repositoryId: "4711", user: "robot" }] });
  await at.users.add("robot", { kind: "service" });
  const { jobTokens, sessions } = at.identity;
  const { authentication } = await jobTokens.verifyJobToken(issuer.token(claims()));
  const session = await sessions.createSession("robot", { ...(authentication === undefined ? {} : { authentication }) });
  expect(session.expiresAt).toBe(new Date(T0 + 600_000).toISOString());
  expect(await sessions.verifySession(session.id)).toMatchObject({ userId: "robot", mfa: false, limits: { repositories: ["acme/web"] } });
  for (const event_name of ["pull_request", "pull_request_target", "issue_comment", "workflow_run", "some_new_event"])
    expect(await jobTokens.verifyJobToken(issuer.token(claims({ event_name })))).toMatchObject({ standing: "outside", authentication: undefined });
  await at.users.disable("robot");
  expect(await jobTokens.verifyJobToken(issuer.token(claims()))).toMatchObject({ authentication: undefined });
});

test("keys: kept for an hour, asked for again for a new id once a minute, refused when they are too old", async (context) => {
  requires(context, "openssl");
  await using at = await world({ maxKeyAge: 6 * HOUR });
  const { jobTokens } = at.identity;
  const before = issuer.asked;
  const show = async (kid = "rsa-1"): Promise<unknown> => {
    const now = Math.floor(at.time.wall / 1000);
    return await jobTokens.verifyJobToken(issuer.token(claims({ iat: now, nbf: now, exp: now + 600 }), { alg: "RS256", kid }));
  };
  await show();
  await show();
  expect(issuer.asked - before).toBe(1);
  await Promise.all(Array.from({ length: 50 }, (_, n) => expect(show(`made-up-${n}`)).rejects.toThrow(refused(/none of the issuer/))));
  expect(issuer.asked - before).toBe(1);
  // The issuer has a new key: it is known at the next question after a minute.
  issuer.page = JSON.stringify({ keys: [jwkOf(issuer.rsa.publicKey, { kid: "rsa-new" })] });
  at.time.pass(61_000);
  await show("rsa-new");
  await expect(show("rsa-1")).rejects.toThrow(refused(/none of the issuer/));
  // It cannot be reached: known keys serve until they are too old.
  issuer.status = 503;
  at.time.pass(5 * HOUR);
  await show("rsa-new");
  at.time.pass(2 * HOUR);
  await expect(show("rsa-new")).rejects.toThrow(refused(/status 503/, "UPSTREAM_UNAVAILABLE"));
  issuer.status = 200;
  at.time.pass(61_000);
  await show("rsa-new");
});

test("keys that are none: never used, and never a way round", async (context) => {
  requires(context, "openssl");
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const pages: readonly (readonly [string, string, RegExp])[] = [
    ["a redirect", "302", /status 302/],
    ["nonsense", "<html>", /not JSON/],
    ["a key of the set twice", '{"keys":[],"keys":[]}', /stands twice/],
    ["no keys", '{"keys":[]}', /keys/],
    ["too large", JSON.stringify({ keys: [{ x: "y".repeat(300_000) }] }), /more than 262144/],
    ["too many", JSON.stringify({ keys: Array.from({ length: 101 }, () => ({})) }), /keys/],
    [
      "two of one id",
      JSON.stringify({
        keys: [jwkOf(issuer.rsa.publicKey, { kid: "rsa-1" }), jwkOf(generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey, { kid: "rsa-1" })],
      }),
      /two keys/,
    ],
    ["a shared secret", JSON.stringify({ keys: [{ kty: "oct", kid: "rsa-1", k: "c2VjcmV0" }] }), /none of the issuer/],
    ["for encryption", JSON.stringify({ keys: [jwkOf(issuer.rsa.publicKey, { kid: "rsa-1", use: "enc" })] }), /none of the issuer/],
    ["for another algorithm", JSON.stringify({ keys: [jwkOf(issuer.rsa.publicKey, { kid: "rsa-1", alg: "PS256" })] }), /none of the issuer/],
    ["weak", JSON.stringify({ keys: [jwkOf(weak.publicKey, { kid: "rsa-1" })] }), /none of the issuer/],
  ];
  for (const [name, page, message] of pages) {
    await using at = await world();
    issuer.status = page === "302" ? 302 : 200;
    issuer.page = page;
    await expect(at.identity.jobTokens.verifyJobToken(issuer.token(claims())), name).rejects.toThrow(
      expect.objectContaining({ message: expect.stringMatching(message) }),
    );
  }
});

test("https with the authority that it was given, and nothing else", async (context) => {
  requires(context, "openssl");
  await using at = await world();
  const jobTokens = { audience: AUDIENCE, issuer: issuer.url, accept: [{ repositoryId: "4711" }] };
  const before = issuer.asked;
  const distrusting: Identity = await at.again({ jobTokens });
  await expect(distrusting.jobTokens.verifyJobToken(issuer.token(claims()))).rejects.toThrow(refused(/cannot be fetched/, "UPSTREAM_UNAVAILABLE"));
  expect(issuer.asked).toBe(before);
  await expect(at.again({ jobTokens: { ...jobTokens, issuer: issuer.url.replace("https", "http") } })).rejects.toThrow(refused(/issuer/, "INVALID_ARGUMENT"));
});

test("what is remembered of a token is a hash, until nobody would take it any more", async (context) => {
  requires(context, "openssl");
  await using at = await world();
  const shown = claims();
  await at.identity.jobTokens.verifyJobToken(issuer.token(shown));
  const rows = await at.store.read((tx) => tx.all("SELECT * FROM identity_used_jtis"));
  expect(rows).toEqual([
    {
      hash: createHash("sha256")
        .update(JSON.stringify([issuer.url, shown["jti"]]))
        .digest("base64url"),
      expires_at: T0 + 660_000,
    },
  ]);
  at.time.pass(661_000);
  const now = Math.floor(at.time.wall / 1000);
  await at.identity.jobTokens.verifyJobToken(issuer.token(claims({ iat: now, nbf: now, exp: now + 600 })));
  expect(await at.store.read((tx) => tx.all("SELECT * FROM identity_used_jtis"))).toHaveLength(1);
});

test("without configuration no token of a job is believed", async () => {
  await using at = await identityWorld();
  await expect(at.identity.jobTokens.verifyJobToken("a.b.c")).rejects.toThrow(refused(/not configured/, "FAILED_PRECONDITION"));
});
