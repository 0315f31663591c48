/** `cofferdam rbac repository ...`: whose a repository is, for roles that hang on it. */
import { CofferdamError } from "../../foundation/index.ts";
import type { RepositoryInput } from "../../rbac/index.ts";
import type { Command, CommandGroup } from "./command.ts";
import { line } from "./line.ts";
import { namedUser, namesOf, oneWord, requireRight, textsOf, withRbac } from "./rbac-session.ts";

const show: Command = {
  name: "show",
  summary: "What is written down of a repository: who owns it, who works on it, whether it is public.",
  usage: "O/R",
  examples: ["cofferdam rbac repository show acme/web"],
  options: {},
  run: async (context) =>
    await withRbac(context, async (session) => {
      const repository = oneWord(context, "O/R", "rbac repository show");
      await requireRight(session, "repositories:read", { repository });
      const known = await session.rbac.getRepository(repository);
      if (known === undefined)
        throw new CofferdamError("NOT_FOUND", `nothing is written down of ${line(repository)}`, { hint: "cofferdam rbac repository set O/R --owner USER" });
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-repository-show/v1", repository, known });
      else context.out.data(page(known, await namesOf(session, [...(known.owners ?? []), ...(known.assigned ?? [])])));
      return 0;
    }),
};

const set: Command = {
  name: "set",
  summary: "Writes down all that is known of a repository from now on; what is not given is not known.",
  usage: "O/R [--public | --private] [--owner USER]... [--assigned USER]...",
  examples: ["cofferdam rbac repository set acme/web --private --owner ada --assigned bob"],
  options: {
    public: { type: "boolean", describe: "everybody may read it" },
    private: { type: "boolean", describe: "not everybody" },
    owner: { type: "string", multiple: true, value: "USER", describe: "whose it is; with --assigned, all of them" },
    assigned: { type: "string", multiple: true, value: "USER", describe: "who works on it" },
  },
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const repository = oneWord(context, "O/R", "rbac repository set");
      const { values, out, globals } = context;
      if (values["public"] === true && values["private"] === true) throw new CofferdamError("INVALID_ARGUMENT", "--public or --private, not both");
      const idsOf = async (words: readonly string[] = []): Promise<string[]> => await Promise.all(words.map(async (word) => (await namedUser(rbac, word)).id));
      const [owners, assigned] = [textsOf(values["owner"]), textsOf(values["assigned"])];
      const known = await rbac.setRepository(
        repository,
        {
          ...(values["public"] === true && { public: true }),
          ...(values["private"] === true && { public: false }),
          ...((owners ?? assigned) !== undefined && { owners: await idsOf(owners), assigned: await idsOf(assigned) }),
        },
        actor,
      );
      if (globals.json) out.json({ schema: "cofferdam/rbac-repository-set/v1", repository, known });
      else out.note(`cofferdam: what is known of ${line(repository)} is written down, on record`);
      return 0;
    }),
};

const forget: Command = {
  name: "forget",
  summary: "Takes out what is written down of a repository: it is not known then.",
  usage: "O/R",
  examples: ["cofferdam rbac repository forget acme/web"],
  options: {},
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const repository = oneWord(context, "O/R", "rbac repository forget");
      await rbac.setRepository(repository, undefined, actor);
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-repository-forget/v1", repository });
      else context.out.note(`cofferdam: nothing is known of ${line(repository)} any more`);
      return 0;
    }),
};

export const repositoryCommands: CommandGroup = {
  name: "repository",
  summary: "Whose a repository is, for roles that hang on it.",
  commands: [show, set, forget],
};

function page({ public: isPublic, owners, assigned }: RepositoryInput, nameOf: (id: string) => string): string {
  const people = (ids: readonly string[] | undefined): string => (ids === undefined ? "not known" : ids.length === 0 ? "nobody" : ids.map(nameOf).join(", "));
  return `public    ${isPublic === undefined ? "not known" : isPublic ? "yes" : "no"}\nowners    ${people(owners)}\nassigned  ${people(assigned)}\n`;
}
