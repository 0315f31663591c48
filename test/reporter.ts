/**
 * Reporter of `./dev test`: failures in full, seconds per room, every skip with its reason, what passed at its second try only,
 * and the closing line
 * `tests: N passed, N failed, N skipped` that CI reads.
 */
import type { Reporter, TestCase, TestModule, TestRunEndReason, Vitest } from "vitest/node";

export default class RoomReporter implements Reporter {
  #root = "";

  onInit(vitest: Vitest): void {
    this.#root = vitest.config.root;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly { message?: string; stack?: string }[], reason: TestRunEndReason): void {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const rooms = new Map<string, number>();
    const skips: string[] = [];
    const flaky: string[] = [];
    for (const module of modules) {
      const file = module.moduleId.replace(`${this.#root}/`, "");
      const room = file.split("/").slice(0, 2).join("/");
      rooms.set(room, (rooms.get(room) ?? 0) + module.diagnostic().duration);
      for (const error of module.errors()) {
        counts.failed += 1;
        print(`FAILED ${file}\n${error.stack ?? error.message}`);
      }
      for (const test of module.children.allTests()) {
        this.#count(test, file, counts, skips);
        if (test.diagnostic()?.flaky === true)
          flaky.push(
            `${file} > ${test.fullName}\n${test
              .result()
              .errors?.map(({ message }) => message)
              .join("\n")}`,
          );
      }
    }
    for (const error of unhandled) {
      counts.failed += 1;
      print(`FAILED outside of a test\n${error.stack ?? error.message ?? ""}`);
    }
    for (const [room, ms] of [...rooms].sort((a, b) => b[1] - a[1])) print(`${(ms / 1000).toFixed(1).padStart(7)} s  ${room}`);
    for (const skip of skips) print(`not run: ${skip}`);
    for (const test of flaky) print(`passed at the second try: ${test}`);
    if (reason === "interrupted") print("interrupted");
    print(`tests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  }

  #count(test: TestCase, file: string, counts: { passed: number; failed: number; skipped: number }, skips: string[]): void {
    const result = test.result();
    if (result.state === "passed") counts.passed += 1;
    else if (result.state === "failed") {
      counts.failed += 1;
      print(`FAILED ${file} > ${test.fullName}`);
      for (const error of result.errors) {
        print(error.stack ?? error.message);
        if (error.diff !== undefined) print(error.diff);
      }
    } else {
      const note = result.state === "skipped" ? result.note : undefined;
      // "optional" needs (a data folder, a tool nobody must have) are said but not counted as skipped.
      if (note?.startsWith("optional") !== true) counts.skipped += 1;
      skips.push(`${test.fullName}: ${note ?? "no reason given"}`);
    }
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
