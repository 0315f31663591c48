/**
 * Names whose reading is worth an event. Everything that a job writes is told anyway; of what it reads, only these: a build
 * reads tens of thousands of files, and a program that reads keys is of interest whatever it is called.
 */
import { z } from "zod";

export interface SensitiveNames {
  /** A file's own name. */
  readonly files: readonly string[];
  /** The name of the folder that it is in. */
  readonly folders: readonly string[];
  /** What is behind the last point of its name. */
  readonly endings: readonly string[];
}

/** The kernel compares up to 47 bytes, and a record's line has no room for spaces. */
const name = z.string().regex(/^[!-~]{1,47}$/, "1 to 47 printable characters without a space");
const names = z.array(name).max(300);
export const sensitiveSchema: z.ZodType<SensitiveNames> = z.strictObject({ files: names, folders: names, endings: names });

export const SENSITIVE: SensitiveNames = {
  files: [
    ...["shadow", "gshadow", "shadow-", "gshadow-", "sudoers", "passwd-", "authorized_keys", "known_hosts"],
    ...["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "ssh_host_rsa_key", "ssh_host_ecdsa_key", "ssh_host_ed25519_key"],
    ...[".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshrc"],
    ...[".npmrc", ".netrc", ".pypirc", ".pgpass", ".my.cnf", ".git-credentials", ".yarnrc.yml", ".dockerconfigjson"],
    ...[".env", ".env.local", ".env.production", ".bash_history", ".zsh_history", ".python_history", ".node_repl_history"],
    ...["credentials", "credentials.json", "credentials.toml", "application_default_credentials.json", "access_tokens.db"],
    ...[".credentials", ".credentials_rsaparams", ".runner", "kubeconfig", "admin.conf", "terraform.tfstate", "login.keyring"],
    ...["wallet.dat", "key4.db", "logins.json", "environ", "mem", "maps", "auxv", "kcore", "kmem", "kallsyms", "core_pattern"],
    ...["release_agent", "docker.sock", "containerd.sock", "token", "namespace"],
  ],
  folders: [".ssh", ".aws", ".azure", ".gcloud", ".gnupg", ".kube", ".docker", "secrets", "serviceaccount"],
  endings: ["pfx", "p12", "jks", "kdbx", "ppk", "keystore", "asc", "keytab"],
};

const AS_FILE = 1;
const AS_FOLDER = 2;
const AS_ENDING = 4;

/** As the kernel's table has them: a name that is of two kinds stands there once. */
export function sensitiveWords({ files, folders, endings }: SensitiveNames): { readonly name: string; readonly as: number }[] {
  const table = new Map<string, number>();
  const add = (list: readonly string[], as: number): void => {
    for (const one of list) table.set(one, (table.get(one) ?? 0) | as);
  };
  add(files, AS_FILE);
  add(folders, AS_FOLDER);
  add(endings, AS_ENDING);
  return [...table].map(([text, as]) => ({ name: text, as }));
}
