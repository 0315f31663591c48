/** A real overlay in a mount namespace of its own: what of it is of the lower layer, whatever is done to it. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { requires } from "../../../test/world/needs.ts";
import type { FileFacts } from "../event.ts";
import { fileId } from "../reader/kernel-values.ts";
import { Layers } from "./layers.ts";

let folder: string;
let box: ReturnType<typeof spawn> | undefined;
let layers: Layers;

beforeAll(async () => {
  if (process.getuid?.() !== 0) return;
  folder = mkdtempSync(join(tmpdir(), "cofferdam layers-"));
  for (const name of ["lower/dir", "lower/gone", "upper", "work", "merged"]) mkdirSync(join(folder, name), { recursive: true });
  for (const name of ["dir/kept", "dir/changed", "dir/removed", "dir/moved", "gone/one"]) writeFileSync(join(folder, "lower", name), name);
  const script = 'mount -t overlay overlay -o lowerdir=lower,upperdir="$PWD/upper",workdir=work merged && echo ready && read -r line';
  box = spawn("unshare", ["--mount", "sh", "-c", script], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
  if (box.stdout !== null) await once(box.stdout, "data");
  layers = Layers.of(box.pid ?? 0);
});
afterAll(async () => {
  if (box === undefined) return;
  const ended = once(box, "close");
  box.kill("SIGKILL");
  await ended;
  rmSync(folder, { recursive: true });
});
beforeEach((context) => requires(context, "root"));

const inside = (name: string): string => `/proc/${box?.pid}/root${join(folder, "merged", name)}`;

/** As a source without layers has it. */
function file(name: string): FileFacts {
  const { dev, ino } = statSync(inside(name), { bigint: true });
  const id = fileId((((dev >> 8n) & 0xfffn) << 20n) | (dev & 0xffn) | ((dev >> 12n) & 0xfff00n), ino);
  const facts = { cut: false, type: "file", mode: 0o755, uid: 0, size: -1, mtime: -1, ctime: -1, unlinked: false, anonymous: false, fresh: undefined } as const;
  return { ...facts, path: join(folder, "merged", name), id };
}

const run = (script: string): void => void execFileSync("sh", ["-c", script], { cwd: inside("") });

test("of the image", () => expect(layers.fresh(file("dir/kept"))).toBe(false));

test("made", () => {
  run("echo > dir/made");
  expect(layers.fresh(file("dir/made"))).toBe(true);
});

test("changed in place: its inode's number is the same, and yet it is fresh", () => {
  const before = file("dir/changed");
  run("echo more >> dir/changed");
  expect(file("dir/changed").id).toBe(before.id);
  expect(layers.fresh(before)).toBe(true);
});

test("changed and removed before the look: never of the image", () => {
  const before = file("dir/removed");
  run("echo more >> dir/removed; rm dir/removed");
  expect(layers.fresh(before)).toBe(true);
});

test("its whole folder removed, and another made: not known", () => {
  const before = file("gone/one");
  run("rm -r gone");
  expect(layers.fresh(before)).toBe(undefined);
  run("mkdir gone");
  expect(layers.fresh(before)).toBe(undefined);
});

test("another file than the one that ran: not known", () => {
  expect(layers.fresh({ ...file("dir/kept"), id: file("dir/moved").id })).toBe(undefined);
});

test("outside of every overlay, or in memory: not known", () => {
  expect(layers.fresh({ ...file("dir/kept"), path: "/etc/passwd" })).toBe(undefined);
  expect(layers.fresh({ ...file("dir/kept"), anonymous: true })).toBe(undefined);
  expect(Layers.of(2 ** 22).fresh(file("dir/kept"))).toBe(undefined);
});
