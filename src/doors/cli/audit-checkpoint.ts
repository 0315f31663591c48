/** `cofferdam audit checkpoint|prove|recover`: what the holder of a log gives to others, and how it goes on after a loss. */
import { resolve } from "node:path";
import { type Delivery, formatProof } from "../../audit/index.ts";
import { CofferdamError, systemClock } from "../../foundation/index.ts";
import { createFile, wordOf } from "./audit-query.ts";
import type { Command, CommandContext } from "./command.ts";
import { deliveryLine } from "./delivery-line.ts";
import { openPolicy, withState } from "./session.ts";

const output = { type: "string", value: "FILE", describe: "a new file, mode 0600; without it, stdout" } as const;

export const checkpoint: Command = {
  name: "checkpoint",
  summary: "Signs what the trail holds now, and brings it to witnesses and copies.",
  usage: "[--output FILE] [--show-key] [--rotate-key]",
  examples: ["cofferdam audit checkpoint --output /mnt/elsewhere/checkpoint", "cofferdam audit checkpoint --show-key"],
  options: {
    output,
    "show-key": { type: "boolean", describe: "only print the key that verifiers pin" },
    "rotate-key": { type: "boolean", describe: "first make a new key, for which the present one vouches" },
  },
  async run(context) {
    const { values, out, globals } = context;
    // Where checkpoints go is in the policy: one that cannot be read is not passed over here.
    await openPolicy(context);
    return await withState(context, async ({ audit }) => {
      if (values["rotate-key"] === true) await audit.rotateKey();
      const key = await audit.verifierKey();
      if (values["show-key"] === true) {
        if (globals.json) out.json({ schema: "cofferdam/audit-checkpoint/v1", key });
        else out.data(`${key}\n`);
        return 0;
      }
      const made = await audit.checkpoint().catch(async (error: unknown) => {
        sayDeliveries(context, await audit.deliveries());
        throw error;
      });
      const { origin, size, root, note, madeAt } = made;
      await write(context, note);
      const deliveries = await audit.deliveries();
      if (globals.json) out.json({ schema: "cofferdam/audit-checkpoint/v1", key, origin, size, root: root.toString("base64"), madeAt, note, deliveries });
      else {
        out.note(`audit: checkpoint of ${size} events, key ${key}`);
        sayDeliveries(context, deliveries);
      }
      return 0;
    });
  },
};

export const prove: Command = {
  name: "prove",
  summary: "Prints the proof that an event is in the trail (c2sp.org/tlog-proof).",
  usage: "SEQ|ID [--output FILE]",
  examples: ["cofferdam audit prove 4182 --output 4182.tlog-proof", "cofferdam audit verify --proof 4182.tlog-proof --key log.key"],
  options: { output },
  async run(context) {
    const { args, out, globals } = context;
    const [event, ...more] = args;
    if (event === undefined || more.length > 0) throw new CofferdamError("INVALID_ARGUMENT", "which event? its number or its id");
    const proof = await withState(context, ({ audit }) => audit.prove(/^\d{1,15}$/.test(event) ? Number(event) : event));
    const text = formatProof(proof);
    await write(context, text);
    if (globals.json)
      out.json({
        schema: "cofferdam/audit-prove/v1",
        seq: proof.seq,
        size: proof.checkpoint.size,
        root: proof.checkpoint.root.toString("base64"),
        proof: text,
      });
    if (proof.body === undefined) out.note(`event ${proof.seq}: retention took its text away; the proof is of its hash ${proof.leaf.toString("hex")}`);
    return 0;
  },
};

export const recover: Command = {
  name: "recover",
  summary: "Goes on after a loss (head file, events, key); an event records what was found and why.",
  usage: "--reason TEXT [--accept-loss] [--new-key]",
  examples: ['cofferdam audit recover --reason "disk replaced, OPS-7"', 'cofferdam audit recover --new-key --reason "host reinstalled"'],
  options: {
    reason: { type: "string", value: "TEXT", describe: "recorded with what was found" },
    "accept-loss": { type: "boolean", describe: "go on although acknowledged events are gone or changed" },
    "new-key": { type: "boolean", describe: "the signing key is lost: make another, for which nothing vouches" },
  },
  async run(context) {
    const { values, out, globals } = context;
    const reason = wordOf(values["reason"]);
    if (reason === undefined || reason.trim() === "") throw new CofferdamError("INVALID_ARGUMENT", "--reason TEXT: it is recorded");
    const event = await withState(context, ({ audit }) =>
      values["new-key"] === true ? audit.replaceLostKey(reason) : audit.recover({ reason, acceptLoss: values["accept-loss"] === true }),
    );
    if (globals.json) out.json({ schema: "cofferdam/audit-recover/v1", event });
    else out.note(`audit: goes on; event ${event.seq} says what was found`);
    return 0;
  },
};

function sayDeliveries({ out }: CommandContext, deliveries: readonly Delivery[]): void {
  for (const one of deliveries) out.note(`  ${deliveryLine(one, systemClock.now())}`);
}

/** To --output, or to stdout unless --json takes it. */
async function write({ values, out, cwd, globals }: CommandContext, text: string): Promise<void> {
  const name = wordOf(values["output"]);
  if (name === undefined) {
    if (!globals.json) out.data(text);
    return;
  }
  const path = resolve(cwd, name);
  const file = await createFile(path);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  out.note(`wrote ${path}`);
}
