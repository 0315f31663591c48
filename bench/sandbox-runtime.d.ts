/** The part of the peer that is called; `./dev check` must not need the peers to be installed. */
declare module "@anthropic-ai/sandbox-runtime" {
  export const SandboxManager: {
    initialize(settings: object): Promise<void>;
    /** A shell command that runs the given one in the sandbox. */
    wrapWithSandbox(command: string): Promise<string>;
    reset(): Promise<void>;
  };
}
