// Started by cofferdam-script-shell, which says why it is not a program of its own.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 24 || (major === 24 && minor < 12)) {
  process.stderr.write(`cofferdam: not run: the script shell needs Node 24.12 or newer, and got ${process.version}\n  ENVIRONMENT_UNFIT\n`);
  process.exit(7);
}
const { COFFERDAM_NODE_OPTIONS: options, ...env } = process.env;
const { start } = await import("../dist/bundle/script-shell.js");
await start(options === undefined ? env : { ...env, NODE_OPTIONS: options });
