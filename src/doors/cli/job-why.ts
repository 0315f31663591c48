/** `cofferdam job why-blocked`: what is on record of a host that a job wanted, and how to allow it. */
import { CofferdamError } from "../../foundation/index.ts";
import type { JobReport } from "../../jobs/index.ts";
import type { Command, CommandContext } from "./command.ts";
import { byText, destinationsOf, isOpenable, nameOf, refusedDestinations, whyLine } from "./job-network-lines.ts";
import { withBook } from "./job-session.ts";
import { line } from "./line.ts";
import { shellWord } from "./shell-word.ts";

export const whyBlocked: Command = {
  name: "why-blocked",
  summary: "Why a job could not reach a host, and how to allow it.",
  usage: "ID HOST[:PORT]",
  examples: ["cofferdam job why-blocked job-8f2c telemetry.example.com", "cofferdam job why-blocked job-8f2c 203.0.113.9:53 --json"],
  options: {},
  run: async (context) =>
    await withBook(context, async (book) => {
      const [id, host, ...more] = context.args;
      if (id === undefined || host === undefined || more.length > 0)
        throw new CofferdamError("INVALID_ARGUMENT", "the id of a job and a host", { hint: "cofferdam job why-blocked job-8f2c telemetry.example.com" });
      return tell(await book.report(id), host, context);
    }),
};

function tell(report: JobReport, host: string, { out, globals }: CommandContext): number {
  const found = destinationsOf(report, host);
  if (globals.json) {
    out.json({ schema: "cofferdam/job-why-blocked/v1", jobId: report.jobId, host, mode: report.network.mode, found });
    return 0;
  }
  if (found.length === 0) throw new CofferdamError("NOT_FOUND", `job ${report.jobId} never asked for ${host.slice(0, 300)}`, { hint: hintOf(report) });
  for (const one of found) {
    if ("asked" in one) {
      out.data(`asked    ${line(one.asked)}: ${one.verdict}${one.tries > 1 ? `, ${one.tries} times` : ""}\n`);
      continue;
    }
    const name = nameOf(one);
    out.data(
      `${one.verdict.padEnd(8)} ${line(name)}${byText(one.by)}${one.tries > 1 ? `, ${one.tries} tries` : ""}: ${one.verdict === "allowed" ? `by ${line(one.rule)}` : whyLine(one.rule)}\n`,
    );
    if (one.verdict !== "allowed" && isOpenable(one.rule)) out.data(`         allow: cofferdam policy allow ${shellWord(line(name))} --reason TEXT\n`);
  }
  return 0;
}

function hintOf(report: JobReport): string {
  if (report.network.mode === "none") return "it had no network";
  const blocked = refusedDestinations(report).map(({ name }) => line(name));
  return blocked.length === 0 ? "nothing was blocked" : `blocked were: ${blocked.slice(0, 10).join(", ")}`;
}
