// Runs inside the box, before the package manager and in the same process. A box has a network namespace of its own
// with nothing but loopback; a socket that listens there is made here and handed to the gate outside, which is the only
// way out. The process then becomes the client: argv is [node, this file, links file, client's script, its arguments...].
// Plain JavaScript for any Node from 18 on, because the client runs on the user's own Node.
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const fail = (error) => {
  process.stderr.write(`cofferdam box: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(70);
};

// [place to make links in, place they lead to, [relative paths]]: verified content under the names the client looks up.
// Made here, because here the client's cache may be memory (see client-box.ts).
const linkContent = (file) => {
  const [from, to, paths] = JSON.parse(readFileSync(file, "utf8"));
  for (const path of paths) {
    mkdirSync(dirname(join(from, path)), { recursive: true });
    symlinkSync(join(to, path), join(from, path));
  }
};

const server = createServer();
server.on("error", fail);
server.listen({ port: 0, host: "127.0.0.1", backlog: 511 }, () => {
  process.send({ port: server.address().port }, server, (error) => error && fail(error));
});

// Ended before it was told to go: bubblewrap, killed in its first moments, may not yet have tied us to its own life.
process.once("disconnect", () => process.exit(1));

process.once("message", ({ uid, gid }) => {
  server.close();
  process.removeAllListeners("disconnect");
  process.disconnect();
  // Only a box that real root made (the project belongs to somebody else) still has an identity to give up here.
  if (uid !== undefined) {
    process.setgroups([]);
    process.setgid(gid);
    process.setuid(uid);
  }
  const [, , links, script] = process.argv;
  linkContent(links);
  process.argv.splice(1, 2);
  import(pathToFileURL(script).href).catch(fail);
});
