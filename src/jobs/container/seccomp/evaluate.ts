/** What a profile answers to one call, read as libseccomp compiles it: rules of one call are alternatives. */
import type { SeccompCondition, SeccompProfile } from "./profile.ts";

/** `allow`, or the errno that the call fails with. Undefined when rules contradict each other: then nothing can be said. */
export function evaluate(profile: SeccompProfile, name: string, args: readonly bigint[]): "allow" | number | undefined {
  const answers = new Set<"allow" | number>();
  for (const rule of profile.syscalls) {
    if (!rule.names.includes(name) || !(rule.args ?? []).every((condition) => matches(condition, args))) continue;
    answers.add(rule.action === "SCMP_ACT_ALLOW" ? "allow" : (rule.errnoRet ?? 1));
  }
  if (answers.size > 1) return undefined;
  const [answer = profile.defaultErrnoRet] = answers;
  return answer;
}

function matches({ index, op, value, valueTwo }: SeccompCondition, args: readonly bigint[]): boolean {
  const argument = BigInt.asUintN(64, args[index] ?? 0n);
  if (op === "SCMP_CMP_EQ") return argument === BigInt(value);
  if (op === "SCMP_CMP_NE") return argument !== BigInt(value);
  if (op === "SCMP_CMP_GT") return argument > BigInt(value);
  return (argument & BigInt(value)) === BigInt(valueTwo);
}
