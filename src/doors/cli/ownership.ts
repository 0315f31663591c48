/** Who owns a repository, as the command line finds it out besides what was written down: at GitHub, where there is a token for it. */
import { GitHubResolver, type RepositoryResolver } from "../../rbac/index.ts";

/** Throws INVALID_ARGUMENT for a token or an address that is none. */
export function resolversOf(env: Readonly<NodeJS.ProcessEnv>): readonly RepositoryResolver[] {
  const [token = "", api = ""] = [env["COFFERDAM_GITHUB_TOKEN"], env["GITHUB_API_URL"]];
  return token === "" ? [] : [new GitHubResolver({ credentials: { token }, ...(api !== "" && { api }) })];
}
