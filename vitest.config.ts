import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    globalSetup: ["./test/world/advisories-setup.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 90_000,
    hookTimeout: 60_000,
    reporters: ["./test/reporter.ts"],
    // Real kernels, engines and sockets on a busy machine: one more try, told by name at the end. What hangs has none.
    retry: { count: 1, condition: /^(?![\s\S]*timed out)/i },
  },
});
export default config;
