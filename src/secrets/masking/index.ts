/** Masking: registered values, in the forms that they are written in, never reach an output. */
export { SHORTEST_MASKED } from "./forms.ts";
export { MaskList, MOST_MASKED } from "./mask-list.ts";
export { MASK, StreamMasker } from "./stream-masker.ts";
