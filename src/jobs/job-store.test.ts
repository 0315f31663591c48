import { describe, expect, test } from "vitest";
import { SqliteStore } from "../store/index.ts";
import { hasEnded, JobStore } from "./job-store.ts";

async function made(): Promise<{ jobs: JobStore; tick: () => number }> {
  let now = 1000;
  const jobs = new JobStore(new SqliteStore(), { now: () => now++, monotonic: () => 0 });
  await jobs.initialize();
  return { jobs, tick: () => now };
}
const job = (jobId: string, repository = "acme/web") => ({ jobId, repository, level: "medium", command: ["make", "test"], image: "busybox", owner: "{}" });

describe("the life of a job", () => {
  test("is written down step by step, and only forward", async () => {
    const { jobs } = await made();
    await jobs.create(job("j1"));
    await expect(jobs.create(job("j1"))).rejects.toMatchObject({ code: "CONFLICT" });
    await jobs.move("j1", ["initializing"], "ready");
    await jobs.hold("j1", { container: "c", folder: "/f" });
    await expect(jobs.move("j1", ["initializing"], "ready")).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    await jobs.move("j1", ["ready"], "running");
    expect(await jobs.get("j1")).toMatchObject({ state: "running", holds: { container: "c", folder: "/f" }, report: undefined });
    expect((await jobs.active()).map(({ jobId }) => jobId)).toEqual(["j1"]);
    await jobs.end("j1", "finished", { verdict: "passed" });
    expect(await jobs.get("j1")).toMatchObject({ state: "finished", holds: {}, report: { verdict: "passed" } });
    expect(await jobs.active()).toEqual([]);
    expect([hasEnded("finished"), hasEnded("ending")]).toEqual([true, false]);
    await expect(jobs.get("j2")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(jobs.move("j2", ["ready"], "running")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("of two that begin at once with one id, one does", async () => {
    const { jobs } = await made();
    const done = await Promise.allSettled([jobs.create(job("j")), jobs.create(job("j"))]);
    expect(done.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("the last 200 reports of a repository are kept, and everything that goes on", async () => {
    const { jobs } = await made();
    await jobs.create(job("going-on"));
    await jobs.create(job("other", "acme/api"));
    await jobs.end("other", "aborted", {});
    for (let i = 0; i < 205; i++) {
      await jobs.create(job(`j${i}`));
      await jobs.end(`j${i}`, "finished", { i });
    }
    const left = await jobs.list({ limit: 1000 });
    expect(await jobs.counts()).toEqual({ initializing: 1, finished: 200, aborted: 1 });
    expect(left).toHaveLength(202);
    expect(left.filter(({ repository }) => repository === "acme/web").map(({ jobId }) => jobId)).toEqual([
      ...Array.from({ length: 200 }, (_, i) => `j${204 - i}`),
      "going-on",
    ]);
    expect(await jobs.list({ repository: "acme/api" })).toMatchObject([{ jobId: "other", state: "aborted" }]);
  });

  test("of those that would go, one that still has something stays; the ids of the others are told", async () => {
    const { jobs } = await made();
    for (let i = 0; i < 202; i++) {
      await jobs.create(job(`j${i}`));
      expect(await jobs.end(`j${i}`, "finished", {}, i === 0 ? { container: "c" } : {})).toEqual(i < 201 ? [] : ["j1"]);
    }
    expect((await jobs.leftOver()).map(({ jobId, holds }) => [jobId, holds])).toEqual([["j0", { container: "c" }]]);
    await jobs.hold("j0", {});
    expect(await jobs.leftOver()).toEqual([]);
  });

  test("a command is kept by its words, the first ones", async () => {
    const { jobs } = await made();
    await jobs.create({ ...job("j1"), command: ["sh", "-c", "x".repeat(5000), "more"] });
    expect((await jobs.get("j1")).command).toEqual(["sh", "-c", "x".repeat(4090)]);
  });

  test("the first request to stop stays, and there is none for a job that has ended", async () => {
    const { jobs } = await made();
    await jobs.create(job("j1"));
    expect(await jobs.stopRequest("j1")).toBeUndefined();
    await jobs.requestStop("j1", { code: "CANCELLED", message: "killed by uid 0" });
    await jobs.requestStop("j1", { code: "SECURITY_VIOLATION", message: "too late" });
    expect(await jobs.stopRequest("j1")).toEqual({ code: "CANCELLED", message: "killed by uid 0" });
    await jobs.end("j1", "finished", {});
    expect(await jobs.stopRequest("j1")).toBeUndefined();
    await expect(jobs.requestStop("j1", { code: "CANCELLED", message: "" })).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    await expect(jobs.requestStop("j2", { code: "CANCELLED", message: "" })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("a job is adopted once", async () => {
    const { jobs } = await made();
    await jobs.create(job("j1"));
    const found = await jobs.get("j1");
    expect(await jobs.adopt(found, "me")).toBe(true);
    expect(await jobs.adopt(found, "another")).toBe(false);
  });
});
