/** Leaks: secrets that nobody registered, found in output and results by what they look like. */
export { LEAK_KINDS, type LeakKind } from "./kinds.ts";
export { type Leak, LeakFinder, type LeakReport, MOST_LEAKS } from "./leak-finder.ts";
