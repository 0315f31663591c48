/** The origin of the network's benchmark, in the internet's namespace: small answers, large ones, over HTTP and TLS. */
import { readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";

const [key = "", cert = ""] = process.argv.slice(2);
const PIECE = Buffer.alloc(256 * 1024, "x");

/** `/` is a small page, `/N` so many bytes. */
const answer: RequestListener = (request, response) => {
  let left = Number((request.url ?? "/").slice(1));
  if (left === 0) {
    response.end("small page\n");
    return;
  }
  response.setHeader("content-length", left);
  const more = (): void => {
    while (left > 0) {
      const piece = left >= PIECE.length ? PIECE : PIECE.subarray(0, left);
      left -= piece.length;
      if (!response.write(piece)) {
        response.once("drain", more);
        return;
      }
    }
    response.end();
  };
  more();
};
createServer(answer).listen(80, "0.0.0.0", () =>
  createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) }, answer).listen(443, "0.0.0.0", () => process.stdout.write("up\n")),
);
