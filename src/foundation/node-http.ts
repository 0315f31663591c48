/**
 * `node:http` for whoever needs it in this process. An `import` of it reads every one of its names, and some of those load a second
 * client for HTTP, a client for WebSocket and HTTP/2: 15 MB that nothing here uses. Asked for in this way it is itself alone.
 */
export function nodeHttp(): typeof import("node:http") {
  return process.getBuiltinModule("node:http");
}
