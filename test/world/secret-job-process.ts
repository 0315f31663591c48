/** Runs one job that has secrets, to be killed: argv is the engine's socket, the state directory, the policy file, the job's id, the image, the value. */
import { SecurityOrchestrator } from "../../src/jobs/index.ts";
import { loadPolicy } from "../../src/policy/index.ts";
import { HeldSecrets } from "./held-secrets.ts";

const [socket = "", stateDir = "", configPath = "", id = "", image = "", value = ""] = process.argv.slice(2);
const policy = await loadPolicy({ cwd: "/", env: {}, configPath });
await using orchestrator = new SecurityOrchestrator(socket, { policy, stateDir, secrets: ({ jobs }) => new HeldSecrets({ a: { value } }, jobs) });
await orchestrator.initialize();
const job = { repository: "acme/web", image, resources: { memory: "64MiB" } };
const script = "cat /run/secrets/A; echo; sleep 1000";
await orchestrator.runJob(id, job, { command: ["sh", "-c", script], secrets: { files: { A: "a" }, variables: { B: "a" } } }, new AbortController().signal, {
  onOutput: ({ bytes }) => void process.stdout.write(bytes),
});
