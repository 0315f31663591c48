/** The user's home folder. */
import { homedir, userInfo } from "node:os";

/**
 * HOME when it is an absolute path, else the home of the uid as the system knows it. An empty or relative HOME would put
 * the user's own files (trust, credentials) into whatever folder the command was started in.
 */
export function homeFolder(env: Readonly<NodeJS.ProcessEnv>): string {
  const named = env["HOME"];
  if (named?.startsWith("/") === true) return named;
  try {
    return userInfo().homedir;
  } catch {
    // A uid without an entry in the user database (containers): the runtime's own guess, or nothing that anybody can write.
    const guess = homedir();
    return guess.startsWith("/") ? guess : "/nonexistent";
  }
}
