/** The thread that reads the sensor. Started by reader-thread.ts; whatever its parent does, it reads on. */
import { parentPort, workerData } from "node:worker_threads";
import type { ToThread } from "./messages.ts";
import { startReader } from "./reader.ts";

const port = parentPort;
if (port === null) throw new Error("this file is a thread of the monitor");

const obey = startReader(workerData, (message, move) => port.postMessage(message, [...move]));

port.on("message", (message: ToThread) => {
  obey(message).then(
    () => {
      if (message.type === "close") port.close();
    },
    // What it cannot deal with ends the thread: then it is known that something was missed, and another one begins.
    (error: unknown) =>
      setImmediate(() => {
        throw error;
      }),
  );
});
