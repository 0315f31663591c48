/** VERIFY.md: the commands that check a folder of evidence. They are run by a test as they stand here. */
import type { EvidenceManifest } from "./manifest.ts";

export function guideText({ checkpoint, log, samples, verification, period }: EvidenceManifest): string {
  const whole = period.from === null && period.to === null;
  const older = whole
    ? "With a checkpoint\nthat was kept elsewhere add `--checkpoint FILE`; with a witness's key, add `--key KEY` once more."
    : "With a checkpoint\nthat was kept elsewhere, of exactly this size, add `--checkpoint FILE`; with a witness's key, add `--key KEY` once more. To\ncompare with an older checkpoint, ask for a bundle of the whole log (`cofferdam audit export --format bundle`).";
  return `# How to check this folder

You need a POSIX shell with \`sha256sum\`, \`cofferdam\` (any copy; none of the commands below opens a state directory), and **the
log's key from somewhere else than this folder**: from an earlier audit, or from whoever runs the log
(\`cofferdam audit checkpoint --show-key\`). \`log.key\` is what the exporting host says; it proves nothing by itself.

Run the commands in this folder, with the key in \`KEY\`:

    KEY='name+id+base64'

## 1. The files are the ones that were handed out

\`\`\`sh
sha256sum --check --strict --quiet SHA256SUMS
\`\`\`

The log has an event \`audit/exported\` with the SHA-256 of \`SHA256SUMS\` itself, recorded after this folder was made.

## 2. The events are in the log that the key signs

\`\`\`sh
cofferdam audit verify --bundle events.bundle --key "$KEY"
\`\`\`

Log \`${log}\`, ${checkpoint.size} events, root \`${checkpoint.root}\`. ${
    verification.anchored
      ? "The exporting host compared it with something from outside; do so yourself:"
      : "It is **not anchored**: the log's own host could have written it anew and signed it."
  } ${older}

## 3. Each sample is in it

\`\`\`sh
for proof in proofs/*.tlog-proof; do
  [ -e "$proof" ] || continue
  cofferdam audit verify --quiet --proof "$proof" --key "$KEY" || { echo "BROKEN: $proof"; exit 6; }
done
\`\`\`

(A single proof does not know of keys that followed yours. If this step does not know the signer and the others do, the log's
key was rotated; step 4 follows the rotation.)

## 4. population.csv and the samples come from these events, and from nothing else

\`\`\`sh
cofferdam audit evidence --check . --key "$KEY"
\`\`\`

It does 1 to 3 once more, writes \`population.csv\` anew from \`events.bundle\` and compares, and draws the samples again:
${samples.method}, at most ${samples.perKind} of each kind, seed \`${samples.seed}\`. By hand, the rank of event 4182 is:

    printf '%s\\n%s' '${samples.seed}' 4182 | sha256sum

## What this does not show

That everything that happened was recorded. Numbers between the first and the last event that are missing here are events
whose text retention took away, or whose own time is outside of the period; the bundle does not tell which.
\`index.html\` and \`evidence.json\` are for reading: apart from what step 4 checks, they are the exporting host's word.
`;
}
