/**
 * Names that vendors publish for those who filter what a machine may reach. Data, taken over on `date` from a copy of `source`; a newer
 * list comes with a newer version of this product. Entries are for HTTPS.
 */

export interface PublishedSet {
  readonly name: string;
  /** What a policy that lists it opens, in a sentence. */
  readonly what: string;
  /** Where the vendor publishes it. */
  readonly source: string;
  /** When it was taken over from there. */
  readonly date: string;
  readonly rules: readonly string[];
  /** What one should know before allowing it. */
  readonly caution?: string | undefined;
}

const GITHUB = 'GitHub Docs, "Communicating with self-hosted runners" (data/reusables/actions/runner-essential-communications.md)';
const DOCKER = 'Docker Docs, "Allowlist for Docker Desktop" (content/manuals/desktop/setup/allow-list.md)';

export const PUBLISHED_SETS: readonly PublishedSet[] = [
  {
    name: "github-actions",
    what: "what a workflow's steps need of GitHub: sources, actions, results, identity tokens",
    source: GITHUB,
    date: "2026-11-27",
    rules: ["github.com:443", "api.github.com:443", "codeload.github.com:443", "ghcr.io:443", "*.actions.githubusercontent.com:443"],
    caution: "anyone can take what a job pushes there: a repository, a gist, a package",
  },
  {
    name: "github-actions-storage",
    what: "artifacts, caches and logs of GitHub Actions",
    source: GITHUB,
    date: "2026-11-27",
    rules: ["results-receiver.actions.githubusercontent.com:443", "*.blob.core.windows.net:443"],
    caution: "everybody can rent a name below *.blob.core.windows.net, an attacker too",
  },
  {
    name: "github-releases",
    what: "files of releases on GitHub, and updates of its runner",
    source: GITHUB,
    date: "2026-11-27",
    rules: [
      "github.com:443",
      "objects.githubusercontent.com:443",
      "objects-origin.githubusercontent.com:443",
      "github-releases.githubusercontent.com:443",
      "github-registry-files.githubusercontent.com:443",
    ],
  },
  {
    name: "github-packages",
    what: "packages and containers that GitHub keeps",
    source: GITHUB,
    date: "2026-11-27",
    rules: ["*.pkg.github.com:443", "ghcr.io:443"],
  },
  {
    name: "github-lfs",
    what: "large files of git repositories on GitHub",
    source: GITHUB,
    date: "2026-11-27",
    rules: ["github.com:443", "github-cloud.githubusercontent.com:443", "github-cloud.s3.amazonaws.com:443"],
  },
  {
    name: "docker-hub",
    what: "pulling and pushing images of Docker Hub",
    source: DOCKER,
    date: "2026-11-27",
    rules: [
      "auth.docker.io:443",
      "auth.docker.com:443",
      "login.docker.com:443",
      "hub.docker.com:443",
      "registry-1.docker.io:443",
      "production.cloudflare.docker.com:443",
      "production.cloudfront.docker.com:443",
      "docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com:443",
    ],
    caution: "anyone can take what a job pushes there",
  },
];
