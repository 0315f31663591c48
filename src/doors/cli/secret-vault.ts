/** The vault as `secrets.vault` of cofferdam.yaml names it: words there, credentials in private files. */
import { CofferdamError, readBounded } from "../../foundation/index.ts";
import { readPrivate, type VaultAuth, type VaultOptions } from "../../secrets/index.ts";

const MAX_CREDENTIAL = 16_384;
const MAX_CERTIFICATES = 1_000_000;

/** Throws INVALID_ARGUMENT for words that are missing. Files are read when they are needed. */
export async function vaultOf(words: Readonly<Record<string, string>>): Promise<VaultOptions> {
  const { address, namespace, mount, prefix, "ca-file": caFile } = words;
  if (address === undefined) throw missing("address");
  return {
    ...{ address, namespace, mount, prefix, auth: authOf(words) },
    ...(caFile !== undefined && { ca: await shared(caFile, "ca-file", MAX_CERTIFICATES) }),
  };
}

function authOf(words: Readonly<Record<string, string>>): VaultAuth {
  const { auth = "token", "auth-mount": mount, "token-file": tokenFile, role, "role-id": roleId, "secret-id-file": secretIdFile, "jwt-file": jwtFile } = words;
  switch (auth) {
    case "token":
      if (tokenFile === undefined) throw missing("token-file");
      return { method: auth, token: async () => credential(tokenFile) };
    case "approle":
      if (roleId === undefined || secretIdFile === undefined) throw missing("role-id and secret-id-file");
      return { method: auth, roleId, mount, secretId: async () => credential(secretIdFile) };
    case "jwt":
      if (role === undefined || jwtFile === undefined) throw missing("role and jwt-file");
      // A platform's own files, often links that it replaces: they live for minutes.
      return { method: auth, role, mount, jwt: async () => (await shared(jwtFile, "jwt-file", MAX_CREDENTIAL, true)).trim() };
    default:
      throw new CofferdamError("INVALID_ARGUMENT", "secrets.vault: auth is token, approle or jwt");
  }
}

function credential(path: string): string {
  const bytes = readPrivate(path, "the vault's credential", MAX_CREDENTIAL);
  if (bytes === undefined) throw new CofferdamError("NOT_FOUND", `no file ${path}, which secrets.vault names`);
  return bytes.toString("utf8").trim();
}

/** Of a file that others may read. */
async function shared(path: string, word: string, maxBytes: number, followLink = false): Promise<string> {
  const bytes = await readBounded(path, { maxBytes, what: `secrets.vault: ${word}`, followLink });
  if (bytes === undefined) throw new CofferdamError("NOT_FOUND", `no file ${path}, which secrets.vault names as ${word}`);
  return bytes.toString("utf8");
}

function missing(what: string): CofferdamError {
  return new CofferdamError("INVALID_ARGUMENT", `secrets.vault: ${what} is missing`, {
    hint: "secrets: {vault: {address: https://vault.example:8200, auth: token, token-file: /PATH}}",
  });
}
