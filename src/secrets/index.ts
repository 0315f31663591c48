/** Secrets: kept sealed, given to the job that may have them, masked wherever something is shown. */
export type {
  AccessRequest,
  Authorizer,
  JobFacts,
  KnownJob,
  RetrievedSecret,
  SecretBinding,
  SecretInfo,
  SecretInjector,
  SecretPolicy,
  SecretReader,
  SecretRequester,
} from "./contract.ts";
export { MASK, MaskList, MOST_MASKED, SHORTEST_MASKED, StreamMasker } from "./masking/index.ts";
