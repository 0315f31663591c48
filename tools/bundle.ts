/**
 * The command line in a few files: dist/ as the compiler left it, with what it imports. Loading 300 small modules took a third
 * of a short command's time (docs/decisions/0007). Libraries import dist/ itself. Called by `./dev`, after the compiler.
 */
import { rolldown } from "rolldown";

const dist: string = new URL("../dist/", import.meta.url).pathname;
const NOTHING = "\0nothing";

const bundle = await rolldown({
  input: {
    cli: `${dist}doors/cli/entry.js`,
    "script-shell": `${dist}doors/script-shell/entry.js`,
    // Threads, started by their file names.
    "verifier-worker": `${dist}packages/gate/verifier-worker.js`,
    "sensor-worker": `${dist}monitor/sensors/sensor-worker.js`,
    worker: `${dist}packages/tree/worker.js`,
  },
  platform: "node",
  plugins: [
    {
      // Words in fifty languages that nobody is shown.
      name: "without zod's locales",
      resolveId: (id, from) => (id.endsWith("/locales/index.js") && from?.includes("/node_modules/zod/") === true ? NOTHING : undefined),
      load: (id) => (id === NOTHING ? "export {};" : undefined),
    },
  ],
});
await bundle.write({ dir: `${dist}bundle`, format: "esm", cleanDir: true, entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" });
await bundle.close();
