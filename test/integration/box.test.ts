/** What a program inside the box can and cannot do: each attack is first shown to work without the box. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type BoxRequest, startBox } from "../../src/packages/box/box.ts";
import { requires } from "../world/needs.ts";

interface Attack {
  readonly name: string;
  /** JavaScript that prints WON when the attack works. */
  readonly code: (facts: { port: number; secret: string }) => string;
}

const ATTACKS: readonly Attack[] = [
  { name: "reads a file of the user's home", code: ({ secret }) => `console.log(require("fs").readFileSync(${JSON.stringify(secret)}, "utf8"))` },
  { name: "sees the caller's environment", code: () => `console.log(process.env.SECRET_OF_CALLER)` },
  {
    name: "connects to a service of the host",
    code: ({ port }) =>
      `require("net").connect(${port}, "127.0.0.1", () => { console.log("WON"); process.exit(); }).on("error", (e) => { console.log(e.code); process.exit(); })`,
  },
  { name: "reads /etc/passwd", code: () => `console.log(require("fs").readFileSync("/etc/passwd", "utf8").includes("root") ? "WON" : "")` },
  { name: "writes the kernel's settings", code: () => `require("fs").accessSync("/proc/sys/kernel/core_pattern", 2); console.log("WON")` },
  {
    name: "sees processes of the host",
    code: () => `console.log(require("fs").readdirSync("/proc").filter((n) => /^[0-9]+$/.test(n)).length > 4 ? "WON" : "")`,
  },
  { name: "has capabilities", code: () => `console.log(/CapEff:\\s+0+\\n/.test(require("fs").readFileSync("/proc/self/status", "utf8")) ? "" : "WON")` },
  { name: "makes a user namespace", code: () => `require("child_process").execFileSync("/usr/bin/unshare", ["-U", "true"]); console.log("WON")` },
];

async function run(code: string, bubblewrap: string | undefined, more: Partial<BoxRequest> = {}): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-box-"));
  try {
    writeFileSync(join(folder, "attack.cjs"), code);
    writeFileSync(join(folder, "links.json"), JSON.stringify([folder, folder, []]));
    const boxed = bubblewrap !== undefined;
    const request: BoxRequest = {
      bubblewrap,
      node: process.execPath,
      script: boxed ? "/run/cofferdam/attack.cjs" : join(folder, "attack.cjs"),
      args: [],
      links: boxed ? "/run/cofferdam/links.json" : join(folder, "links.json"),
      binds: boxed ? ["attack.cjs", "links.json"].map((name) => ({ from: join(folder, name), to: `/run/cofferdam/${name}`, writable: false })) : [],
      scratch: [],
      cwd: boxed ? "/tmp" : folder,
      // Without the box the caller's environment is what a plain run would have.
      env: boxed ? { PATH: "/usr/bin:/bin" } : { PATH: "/usr/bin:/bin", SECRET_OF_CALLER: "WON" },
      owner: undefined,
      userns: true,
      startTimeout: 20_000,
      signal: AbortSignal.timeout(25_000),
      ...more,
    };
    const box = await startBox(request);
    box.door.close();
    return (await box.go()).output;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("a program in the box", () => {
  for (const attack of ATTACKS) {
    test(`${attack.name}: works outside, fails inside`, async (context) => {
      requires(context, "bwrap");
      // Several of these need root to work outside in the first place.
      requires(context, "root");
      const folder = mkdtempSync(join(tmpdir(), "cofferdam-victim-"));
      const secret = join(folder, "secret");
      writeFileSync(secret, "WON");
      const server = createServer((socket) => socket.end());
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const address = server.address();
      const code = attack.code({ port: typeof address === "object" && address !== null ? address.port : 0, secret });
      try {
        expect(await run(code, undefined)).toContain("WON");
        expect(await run(code, "/usr/bin/bwrap")).not.toContain("WON");
      } finally {
        server.close();
        rmSync(folder, { recursive: true });
      }
    });
  }

  test("a scratch folder is memory that it may write to", async (context) => {
    requires(context, "bwrap");
    const code = `const fs = require("fs"); fs.mkdirSync("/run/scratch/a"); console.log(fs.statfsSync("/run/scratch/a").type, fs.statSync("/run/scratch").mode.toString(8))`;
    const TMPFS = 0x01021994;
    expect(await run(code, "/usr/bin/bwrap", { scratch: ["/run/scratch"] })).toBe(`${TMPFS} 40777\n`);
  });

  test("for somebody else's project it is that uid, and reaches what it was given", async (context) => {
    requires(context, "bwrap");
    requires(context, "root");
    const code = `const fs = require("fs"); fs.mkdirSync("/run/deep/scratch/a"); console.log(process.getuid(), fs.readdirSync("/run/deep/scratch").join())`;
    const more = { owner: { uid: 65_534, gid: 65_534 }, scratch: ["/run/deep/scratch"] };
    expect(await run(code, "/usr/bin/bwrap", more)).toBe("65534 a\n");
  });

  test("a box that cannot start is ENVIRONMENT_UNFIT with the reason", async () => {
    await expect(run("", "/bin/false")).rejects.toMatchObject({ code: "ENVIRONMENT_UNFIT" });
  });
});

test("the launcher is shipped beside the executable", () => {
  expect(readFileSync(new URL("../../bin/box-launcher.mjs", import.meta.url), "utf8")).toContain("createServer");
});
