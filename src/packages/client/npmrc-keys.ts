/**
 * What a project's own .npmrc may say. A repository's file is untrusted input: keys that only shape the tree or the
 * client's words are handed on; keys that run code, move files, or choose where packages come from are findings.
 */

/** `pass`: handed to the boxed client. `ignore`: without meaning in the box, dropped. `refuse`: a finding. */
export type KeyRule = "pass" | "ignore" | "refuse";

const PASS: ReadonlySet<string> = new Set([
  "before",
  "bin-links",
  "cpu",
  "dev",
  "engine-strict",
  "force",
  "global-style",
  "include",
  "install-links",
  "install-strategy",
  "legacy-bundling",
  "legacy-peer-deps",
  "libc",
  "lockfile-version",
  "min-release-age",
  "omit",
  "omit-lockfile-registry-resolved",
  "only",
  "optional",
  "os",
  "package-lock",
  "prefer-dedupe",
  "prefer-offline",
  "prefer-online",
  "production",
  "save",
  "save-bundle",
  "save-dev",
  "save-exact",
  "save-optional",
  "save-peer",
  "save-prefix",
  "save-prod",
  "shrinkwrap",
  "strict-peer-deps",
  "tag",
  "default-tag",
  "workspaces",
  "include-workspace-root",
  "workspaces-update",
]);

const IGNORE: ReadonlySet<string> = new Set([
  "access",
  "also",
  "audit",
  "audit-level",
  "auth-type",
  "browser-prefix",
  "color",
  "commit-hooks",
  "depth",
  "description",
  "diff",
  "dry-run",
  "fetch-retries",
  "fetch-retry-factor",
  "fetch-retry-maxtimeout",
  "fetch-retry-mintimeout",
  "fetch-timeout",
  "format-package-lock",
  "fund",
  "git-tag-version",
  "heading",
  "if-present",
  "ignore-scripts",
  "init-author-email",
  "init-author-name",
  "init-author-url",
  "init-license",
  "init-private",
  "init-type",
  "init-version",
  "init.author.email",
  "init.author.name",
  "init.author.url",
  "init.license",
  "init.version",
  "json",
  "logs-max",
  "loglevel",
  "long",
  "maxsockets",
  "message",
  "metrics-registry",
  "node-version",
  "offline",
  "package-manager-strict",
  "parseable",
  "progress",
  "provenance",
  "provenance-file",
  "read-only",
  "rebuild-bundle",
  "replace-registry-host",
  "save-workspace-protocol",
  "scope",
  "searchexclude",
  "searchlimit",
  "searchopts",
  "searchstaleness",
  "send-metrics",
  "sign-git-commit",
  "sign-git-tag",
  "sso-poll-frequency",
  "tag-version-prefix",
  "timing",
  "umask",
  "unicode",
  "update-notifier",
  "usage",
  "user-agent",
  "version",
  "versions",
  "yes",
]);

/** The rule for one key of a project's .npmrc. `ignore-scripts=false` is not a way to run scripts: ours stays on. */
export function ruleOf(key: string): KeyRule {
  if (PASS.has(key)) return "pass";
  if (IGNORE.has(key)) return "ignore";
  return "refuse";
}

/** Why a key is refused, as the end of a sentence. */
export function whyRefused(key: string): string {
  if (/^(?:git|script-shell|shell|node-options|editor|viewer|browser|init-module|node-gyp|python)$/.test(key))
    return "it makes npm run a program of the project's choice";
  if (/^(?:proxy|https-proxy|http-proxy|noproxy|no-proxy|cafile|ca|cert|key|strict-ssl|local-address)$/.test(key))
    return "it changes how registries are reached and trusted";
  if (/^(?:cache|prefix|globalconfig|userconfig|tmp|store-dir|global|location|logs-dir|cache-min|cache-max)$/.test(key))
    return "it moves files that are not the project's";
  if (/^(?:_auth|_authtoken|_password|username|email|always-auth)$/i.test(key) || key.startsWith("//")) return "it binds credentials";
  return "it is not on the list of keys that a project may set";
}
