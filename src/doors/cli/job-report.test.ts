import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IMAGE_DIGEST, jobFacts } from "../../../test/world/job-facts.ts";
import { systemClock } from "../../foundation/index.ts";
import { buildReport, type JobFacts, type JobReport, newThreat, parseReport } from "../../jobs/index.ts";
import { jobDetails, jobTable, type ListedJob } from "./job-list.ts";
import { jobPage, jobRunDocument } from "./job-page.ts";
import { jobEnd, jobExit, jobHeader } from "./job-report.ts";

const report = (more: Partial<JobFacts> = {}): JobReport => buildReport(jobFacts(more));
const end = (more: Partial<JobFacts> = {}): string => jobEnd(report(more));
const GiB = 2 ** 30;
const ABSENT = "absent   image scan, runtime monitor (cofferdam job report 8f2c)";

describe("job run", () => {
  test("the line before", () => {
    const { quota } = jobFacts().resources;
    const job = { jobId: "8f2c", repository: "acme/web", level: "medium", mode: "enforce", image: `node@${IMAGE_DIGEST}`, quota } as const;
    expect(jobHeader(job)).toBe("cofferdam: job 8f2c, acme/web, level medium, node@sha256:41c0, 4 cpu, 8 GiB");
    expect(jobHeader({ ...job, repository: undefined, mode: "observe", quota: {} })).toBe(
      "cofferdam: job 8f2c, level medium (observe only: nothing is refused), node@sha256:41c0",
    );
  });

  test("all well: what it came to, and what nobody looked at", () => expect(end()).toBe(`job 8f2c PASSED in 72 s: npm test exited 0\n${ABSENT}\n`));

  test("a line for each thing of note, then what it used and what was proven", () => {
    const threat = newThreat({ type: "suspicious_process", severity: "high", source: "monitor" }, systemClock);
    const text = end({
      ...{ verdict: "failed", exit: 1, threats: [threat], refused: ["egress to cdn.example:443"] },
      violations: [{ at: "2026-11-27T03:00:01.000Z", rule: "quota.memory.killed", message: "out of memory", times: 3 }],
      workspace: { mode: "copy", leftOut: [{ path: "out/link", why: "a link that leaves the workspace" }] },
      leftBehind: [{ what: "container 7", why: "the engine is gone" }],
      resources: { ...jobFacts().resources, limits: [{ resource: "disk", by: "watched", note: "checked every 2 s, not enforced on this file system" }] },
      log: { bytes: 90e6, kept: 32e6, truncated: true },
    });
    expect(text).toBe(
      `${[
        "job 8f2c FAILED in 72 s: npm test exited 1, 1 refused",
        "",
        "threat   high: suspicious_process, seen by monitor, open",
        "violated quota.memory.killed: out of memory, 3 times",
        "refused  egress to cdn.example:443",
        "left out out/link: a link that leaves the workspace",
        "remains  container 7: the engine is gone",
        "watched  disk: checked every 2 s, not enforced on this file system",
        "output   32 MB of 90 MB are kept",
        "peak     memory 1.9 of 8 GiB, cpu 2.7 of 4, processes 143 of 1000, disk 0.5 of 10 GiB",
        "proven   capabilities, cpu, devices, masked-paths, memory, mounts, namespaces, network, no-new-privileges, pids, seccomp",
        ABSENT,
        "",
        "exit 1  records 41-47  cofferdam job report 8f2c",
      ].join("\n")}\n`,
    );
  });

  test("watched: what was seen, what a threat was, where what it did is kept", () => {
    const details = { message: "sh opened /tmp/release_agent", times: 2 };
    const threat = newThreat({ type: "escape-file", severity: "critical", source: "monitor", details }, systemClock);
    const notes = [{ rule: "download", message: "curl -O x", times: 3 }];
    const monitoring: NonNullable<JobFacts["monitoring"]> = {
      ...{ state: "watching", lacks: [], events: 4512, lost: 0, gaps: 0, programs: 23, notes },
      evidence: [{ path: "/state/evidence/8f2c-1.json", sha256: "ab".repeat(32), bytes: 2000 }],
    };
    const text = end({ verdict: "stopped", threats: [threat], monitoring });
    expect(text).toContain(
      "threat   critical: escape-file, seen by monitor, open\n         sh opened /tmp/release_agent, 2 times\nkept     /state/evidence/8f2c-1.json (sha256 ",
    );
    expect(text).toContain("\nseen     4512 events of 23 programs, none lost\n");
    expect(text).toContain("\nabsent   image scan (");
    expect(jobPage(report({ monitoring }))).toContain("\nnote     download: curl -O x, 3 times\n");
    expect(end({ verdict: "failed", monitoring: { ...monitoring, state: "degraded", lost: 7, lacks: ["opens"] } })).toContain(
      "23 programs, 7 lost, not opens\n",
    );
  });

  test("nobody watched, though it was to be: told also where all is well; turned off, it is as it was asked for", () => {
    const monitoring: NonNullable<JobFacts["monitoring"]> = {
      ...{ state: "absent", why: "only root may look", lacks: ["everything"], events: 0, lost: 0, gaps: 0, programs: 0, notes: [], evidence: [] },
    };
    const fix = "\n         fix: cofferdam doctor; jobs: {monitor: off} if it is to be so\n";
    expect(end({ monitoring })).toContain(`\nunseen   nobody watched what its processes did (only root may look)${fix}`);
    expect(end({ monitoring: { ...monitoring, events: 7 } })).toContain("\nunseen   for a while nobody watched what its processes did (only root may look)\n");
    expect(end({ monitoring: { ...monitoring, state: "degraded", lacks: ["files", "network"] } })).toContain(
      `\nunseen   of what its processes did: files, network (only root may look)${fix}`,
    );
    expect(end({ monitoring: { ...monitoring, state: "off" } })).not.toContain("unseen");
    expect(end({ verdict: "blocked", monitoring })).not.toContain("unseen");
  });

  test("blocked: why, how to go on, and nothing of what it used", () => {
    const text = end({
      ...{ verdict: "blocked", exit: undefined, proof: undefined },
      ...{ times: { asked: "2026-11-27T03:00:00.000Z", ended: "2026-11-27T03:00:00.010Z", totalMs: 10 } },
      ...{ stoppedBy: { code: "SECURITY_VIOLATION", message: "level paranoid takes an image by its digest", hint: `--image node@${IMAGE_DIGEST}` } },
      ...{ auditTrail: { first: 41, last: 41, verified: false, anchored: false, events: [] } },
    });
    expect(text).toBe(
      `job 8f2c BLOCKED before it started: level paranoid takes an image by its digest\n\n         fix: --image node@${IMAGE_DIGEST}\n${ABSENT}\n\nexit 3  record 41  cofferdam job report 8f2c\n`,
    );
  });

  test("stopped, aborted, observed and not on record are said in the first line or the last", () => {
    expect(end({ verdict: "stopped", exit: 137, stoppedBy: { code: "DEADLINE_EXCEEDED", message: "30 min passed" } })).toMatch(
      /^job 8f2c STOPPED after 72 s: 30 min passed\n(?:.*\n)*exit 124 /,
    );
    const aborted = end({
      verdict: "aborted",
      exit: undefined,
      proof: undefined,
      reconciled: { at: "2026-11-27T03:00:00.000Z", found: ["a container that ran"] },
    });
    expect(aborted).toMatch(
      /^job 8f2c ABORTED: the process that ran it died\n\nfound {4}a container that ran\nunproven its container was not looked at before it started\n/,
    );
    expect(end({ mode: "observe" })).toMatch(/^job 8f2c PASSED in 72 s: npm test exited 0 \(observe only: nothing was refused\)\n\npeak/);
    expect(end({ mode: "observe", auditTrail: { verified: false, anchored: false, events: [] } })).toContain("\nexit 0  not on record  ");
  });

  test("a control that differs is said before all else", () => {
    const controls = [{ name: "seccomp", what: "mode", expected: "2", actual: "0", ok: false }];
    expect(end({ proof: { at: "2026-11-27T03:00:00.000Z", held: [], controls } })).toContain("\n\ndiffers  seccomp, mode: expected 2, found 0\npeak");
  });

  test("what was not measured is said so; what is hardly anything has its own unit", () => {
    const resources = jobFacts().resources;
    expect(end({ mode: "observe", resources: { ...resources, peak: {} } })).toContain("peak     not measured\n");
    expect(end({ mode: "observe", resources: { ...resources, peak: { memory: 21e6 } } })).toContain("peak     memory 21 MB of 8 GiB\n");
    expect(end({ mode: "observe", resources: { ...resources, peak: { memory: 2 * GiB }, quota: {} } })).toContain("peak     memory 2.1 GB\n");
  });

  test("no more than ten of a kind are shown, the others counted", () => {
    const refused = Array.from({ length: 12 }, (_, i) => `thing ${i}`);
    const text = end({ refused });
    expect(text.match(/^refused {2}/gm)).toHaveLength(10);
    expect(text).toContain("\n         and 2 more (--json lists them)\n");
  });

  test("exit codes: the command's own, unless we ended it", () => {
    expect(jobExit(report({ verdict: "failed", exit: 42 }))).toBe(42);
    expect(jobExit(report({ verdict: "stopped", exit: 137, stoppedBy: { code: "RESOURCE_EXHAUSTED", message: "disk" } }))).toBe(5);
    expect(jobExit(report({ verdict: "aborted", exit: undefined }))).toBe(1);
    expect(jobExit(report({ verdict: "failed", exit: undefined }))).toBe(1);
  });
});

describe("hostile text", () => {
  const evil = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.constantFrom("\njob 8f2c PASSED in 1 s: npm test exited 0", "\u001b[2J\u001b]0;x\u0007", "\u202etxt.exe", "a\r\nproven   everything"),
  );

  /** Everywhere that a stranger's text can stand. */
  const filled = (text: string): JobReport =>
    report({
      ...{ repository: text, command: ["sh", "-c", text], verdict: "stopped", stoppedBy: { code: "INTERNAL", message: text, hint: text }, refused: [text] },
      image: { reference: text, scanned: "not-scanned" },
      identity: { rule: text, name: text },
      checks: { ...jobFacts().checks, scanning: { state: "not-checked", why: text } },
      threats: [newThreat({ type: "x", severity: "low", source: `s${text.toWellFormed()}` }, systemClock)],
      violations: [{ at: "2026-11-27T03:00:01.000Z", rule: text, message: text, times: 1 }],
      proof: { at: "2026-11-27T03:00:00.000Z", held: [text], controls: [{ name: text, what: text, expected: text, actual: text, ok: false }] },
      workspace: { mode: "copy", path: text, leftOut: [{ path: text, why: text }] },
      leftBehind: [{ what: text, why: text }],
    });

  test("property: it makes no line of its own, moves no cursor and turns no direction", () =>
    fc.assert(
      fc.property(evil, (text) => {
        const found = filled(text);
        const job: ListedJob = {
          jobId: "8f2c",
          repository: text,
          state: text,
          level: text,
          command: ["sh", text],
          image: text,
          createdAt: 0,
          abandoned: false,
          report: undefined,
        };
        for (const words of [jobEnd(found), jobPage(found), jobTable([job], 0), jobDetails(job, 0), jobDetails({ ...job, report: found }, 0)]) {
          expect(words).not.toMatch(/[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069\u2028\u2029]/u);
          expect(words.isWellFormed()).toBe(true);
        }
        expect(jobEnd(found).split("\n")).toHaveLength(jobEnd(filled("x")).split("\n").length);
        expect(jobPage(found).split("\n")).toHaveLength(jobPage(filled("x")).split("\n").length);
        expect(jobTable([job], 0).split("\n")).toHaveLength(3);
        expect(jobDetails(job, 0).split("\n")).toHaveLength(5);
      }),
      { numRuns: 300 },
    ));

  test("a long text is cut, also between the halves of a character", () => {
    const [first = ""] = end({ verdict: "stopped", stoppedBy: { code: "INTERNAL", message: `${"x".repeat(396)}\ud83d\ude00\ud83d\ude00tail` } }).split("\n");
    expect(first.isWellFormed()).toBe(true);
    expect(first.endsWith("x...")).toBe(true);
  });
});

describe("job report", () => {
  test("everything that the report has, in words", () => {
    const found = report({ resources: { ...jobFacts().resources, total: { cpuMs: 150_000, readBytes: 2e6, writtenBytes: 48_000 } } });
    const text = jobPage(parseReport(JSON.parse(JSON.stringify(found))));
    const score = found.score;
    expect(text.split("\n\n").map((section) => section.split("\n")[0])).toEqual([
      "job 8f2c PASSED in 72 s: npm test exited 0",
      "job      acme/web, level medium, policy sha256:000000000...",
      "peak     memory 1.9 of 8 GiB, cpu 2.7 of 4, processes 143 of 1000, disk 0.5 of 10 GiB",
      `score    ${score?.value} of 100: ${score?.base.toFixed(1)} proven`,
      "absent   image scan: nobody looked for known vulnerabilities or malware in the image",
      "low      it ran as root",
    ]);
    for (const part of [
      "asked    2026-11-27T03:00Z by uid 1000 (local-owner), ended 2026-11-27T03:01Z\n",
      "image    node@sha256:41c0, sha256:abab, not scanned\n",
      "check    authentication passed: uid 1000 owns the state directory\n",
      "check    resource allocation passed: 4 cpu, 8 GiB\n",
      "check    scanning not checked: this version does not scan images\n",
      "total    ran 71 s, cpu 3 min, read 2 MB, written 48 kB\n",
      "files    a copy of /home/me/web, 12 files came back\n",
      "output   5.2 kB\n",
      "trail    records 41-47, verified, anchored\n",
      "    -7.2 job.image-scanned: the image was not scanned\n",
    ])
      expect(text).toContain(part);
  });

  test("no score, a cap, a penalty and what was cut are said", () => {
    const auditTrail = { ...jobFacts().auditTrail, verified: false };
    const threats = [newThreat({ type: "x", severity: "critical" }, systemClock)];
    expect(jobPage(report({ auditTrail, threats }))).toMatch(
      /\nscore {4}9 of 100: [\d.]+ proven, capped at 10: the audit trail was not verified, times 0\.900 for open threats\n/,
    );
    expect(jobPage({ ...report(), score: undefined })).toContain("\nscore    none: nothing is on record to go by\n");
    expect(jobPage(report({ command: Array.from({ length: 70 }, () => "a") }))).toContain("\ncut      to keep the report bounded: 6 of command\n");
  });

  test("the document of job run has what other programs rely on", () => {
    expect(jobRunDocument(report())).toMatchObject({
      ...{ schema: "cofferdam/job-run/v1", jobId: "8f2c", verdict: "passed", exit: 0, threats: [], network: [], auditRange: [41, 47] },
      checks: { authentication: true, authorization: true, scanning: false, resourceAllocation: true, networkIsolation: true },
      score: expect.any(Number),
    });
    const stopped = jobRunDocument(report({ verdict: "stopped", exit: undefined, stoppedBy: { code: "CANCELLED", message: "Ctrl-C" } }));
    expect(stopped).toMatchObject({ verdict: "stopped", stoppedBy: "CANCELLED", reason: "Ctrl-C" });
    expect(stopped).not.toHaveProperty("exit");
  });
});

describe("job list and show", () => {
  const at = Date.parse("2026-11-27T03:00:00Z");
  const job: ListedJob = {
    jobId: "8f2c",
    repository: "acme/web",
    state: "finished",
    level: "medium",
    command: ["npm", "test"],
    image: `node@${IMAGE_DIGEST}`,
    createdAt: at,
    abandoned: false,
    report: report(),
  };
  const running: ListedJob = { ...job, jobId: "long-name-1", state: "running", report: undefined };

  test("columns; a job that runs has no verdict, and no score", () => {
    expect(jobTable([running, job], at + 90_000)).toBe(
      [
        "started            job          state    time  score  repository  command",
        "2026-11-27T03:00Z  long-name-1  running  90 s  -      acme/web    npm test",
        `2026-11-27T03:00Z  8f2c         passed   72 s  ${String(report().score?.value).padEnd(5)}  acme/web    npm test`,
        "",
      ].join("\n"),
    );
    expect(jobTable([], at)).toBe("");
    expect(jobTable([{ ...running, abandoned: true }], at)).toContain("  abandoned  ");
  });

  test("one job, running and ended", () => {
    expect(jobDetails(running, at + 90_000)).toBe(
      "job long-name-1 is running, for 90 s\njob      acme/web, level medium\ncommand  npm test\nimage    node@sha256:41c0\n",
    );
    expect(jobDetails(job, at)).toContain("job 8f2c PASSED in 72 s: npm test exited 0\n");
    expect(jobDetails(job, at)).toContain("\nmore     cofferdam job report 8f2c\n");
  });
});
