/** Foundation: what every room stands on. Imports nothing of ours. */
export { parseCores, parseCount, parseRate, parseSize } from "./amounts.ts";
export { BoundedQueue } from "./bounded-queue.ts";
export { BoundedText } from "./bounded-text.ts";
export { canonicalBytes, canonicalText, type JsonObject, type JsonValue } from "./canonical.ts";
export { type Clock, isoTime, systemClock } from "./clock.ts";
export { syncFolder, writeDurably } from "./durable.ts";
export { CofferdamError, ERROR_TABLE, type ErrorCode, type ErrorDetails, type ErrorSpec, errnoOf, messageOf, wrapError } from "./errors.ts";
export { makeFolder } from "./folders.ts";
export { homeFolder } from "./home.ts";
export { newId } from "./ids.ts";
export { type ReadLimits, readBounded } from "./limits.ts";
export { packageFolder } from "./package-folder.ts";
export { productVersion } from "./product-version.ts";
export { replaceFile } from "./replace-file.ts";
export { describeProblem, type InputProblem, parseInput, problemsOf } from "./schema.ts";
export { stateDirectory } from "./state-directory.ts";
export { nearestWord } from "./suggest.ts";
export { formatBytes, formatDuration, parseBytes, parseDuration } from "./units.ts";
