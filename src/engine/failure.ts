/** What went wrong between us and the engine, as our codes. Nothing of a request's body is repeated. */
import { CofferdamError, type ErrorCode, errnoOf, messageOf } from "../foundation/index.ts";

/** Longest text of the engine that a message carries. */
const MAX_MESSAGE = 500;
/** Shorter values are no secrets, and would cut up every sentence. */
const MIN_SECRET = 4;

const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "INVALID_ARGUMENT",
  401: "PERMISSION_DENIED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  405: "FAILED_PRECONDITION",
  406: "FAILED_PRECONDITION",
  409: "CONFLICT",
  412: "FAILED_PRECONDITION",
  413: "PAYLOAD_TOO_LARGE",
  429: "RATE_LIMITED",
  501: "FAILED_PRECONDITION",
};

/** What an engine answers with a status that says something else: Podman says 500 to nearly everything, Docker 403 to what is taken. */
const BY_TEXT: readonly (readonly [said: RegExp, code: ErrorCode])[] = [
  [/no space left on device|disk quota exceeded/i, "RESOURCE_EXHAUSTED"],
  [/container state improper|is already in use|has active endpoints|pool overlaps|already exists/i, "CONFLICT"],
  [/invalid (environment variable|filter)|is an invalid filter|any of the supported image formats/i, "INVALID_ARGUMENT"],
];
const UNSURE = new Set([403, 500]);
/** The whole answer to a path that the engine does not have; of an object that is absent more is said. */
const NO_SUCH_CALL = /^(404 )?(page )?not found$/i;

/** Why a command could not be executed: shells end with 127 and 126. */
export type StartFailure = "command-not-found" | "command-not-executable";

/**
 * An answer that is no success.
 * @param what what was asked, as "cannot ..." needs it. @param secrets texts that must not show, should the engine repeat them.
 */
export function refusedByEngine(what: string, status: number, text: string, secrets: readonly string[]): CofferdamError {
  const said = tidy(messageIn(text), secrets);
  const reason = startFailure(said);
  const details = { status, engine: said, ...(reason === undefined ? {} : { reason }) };
  return new CofferdamError(codeOf(status, said, reason), `the engine cannot ${what}: ${said === "" ? `HTTP ${status}` : said}`, { details });
}

function codeOf(status: number, said: string, reason: StartFailure | undefined): ErrorCode {
  if (reason !== undefined) return "INVALID_ARGUMENT";
  if (status === 404 && NO_SUCH_CALL.test(said)) return "FAILED_PRECONDITION";
  const told = UNSURE.has(status) && !/^authorization denied/i.test(said) ? BY_TEXT.find(([pattern]) => pattern.test(said))?.[1] : undefined;
  return told ?? BY_STATUS[status] ?? "UPSTREAM_UNAVAILABLE";
}

/** As the docker CLI tells them apart: the engine has one status for all. */
function startFailure(said: string): StartFailure | undefined {
  if (!/OCI runtime|runc|crun|exec: /.test(said)) return undefined;
  if (/executable file( `.*')? not found|exec: .*no such file or directory/i.test(said)) return "command-not-found";
  if (/exec: .*(permission denied|is a directory)|exec format error/i.test(said)) return "command-not-executable";
  return undefined;
}

/** No answer, or one that is no HTTP. */
export function unreachable(what: string, where: string, error: unknown): CofferdamError {
  if (error instanceof CofferdamError) return error;
  const errno = errnoOf(error);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  // The parser keeps the bytes that it could not read, and with them whatever was sent.
  const why = code.startsWith("HPE_") ? `the answer is no HTTP (${code})` : tidy(messageOf(error), []);
  if (errno === "EACCES" || errno === "EPERM")
    return new CofferdamError("PERMISSION_DENIED", `cannot ${what}: ${where} is not open to this user`, {
      hint: "run as root or as a member of the socket's group",
      details: { errno },
    });
  const hint = hintFor(code);
  return new CofferdamError("UPSTREAM_UNAVAILABLE", `cannot ${what}: the engine at ${where}: ${why}`, {
    ...(hint === undefined ? {} : { hint }),
    details: { reason: code },
  });
}

function hintFor(code: string): string | undefined {
  if (code === "ENOENT" || code === "ECONNREFUSED") return "is the engine running, and is this its address?";
  if (/CERT|SSL|TLS|SELF_SIGNED|UNABLE_TO/.test(code)) return "check ca, cert and key against the engine's own";
  return undefined;
}

/** An answer with the right status and the wrong content. */
export function nonsense(what: string, why: string): CofferdamError {
  return new CofferdamError("UPSTREAM_UNAVAILABLE", `cannot ${what}: the engine's answer is not what its API says: ${why}`);
}

function messageIn(text: string): string {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null && "message" in parsed && typeof parsed.message === "string") return parsed.message;
  } catch {
    // Plain text, from a proxy or for a path that it does not know.
  }
  return text;
}

/** One line of bounded length that does nothing to a terminal. */
export function tidy(text: string, secrets: readonly string[]): string {
  let clean = text;
  const longestFirst = [...secrets].sort((a, b) => b.length - a.length);
  for (const secret of longestFirst) if (secret.length >= MIN_SECRET) clean = clean.replaceAll(secret, "***");
  clean = clean.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, " ").trim();
  return clean.length > MAX_MESSAGE ? `${clean.slice(0, MAX_MESSAGE)}...` : clean;
}
