/** `cofferdam completion bash|zsh|fish`: a static script made from the command table. */
import { CofferdamError } from "../../foundation/index.ts";
import { type Command, type CommandTree, GLOBAL_OPTIONS, isTree, type TableEntry } from "./command.ts";

interface Words {
  readonly name: string;
  readonly subcommands: readonly string[];
  readonly options: readonly string[];
}

/** @param commands the command table, which lists this command as well. */
export const completionCommand = (commands: readonly TableEntry[]): Command => ({
  name: "completion",
  summary: "Prints a completion script for your shell.",
  usage: "bash|zsh|fish",
  examples: ["source <(cofferdam completion bash)", "cofferdam completion fish > ~/.config/fish/completions/cofferdam.fish"],
  options: {},
  async run({ args, out }) {
    const shell = args[0];
    if (shell !== "bash" && shell !== "zsh" && shell !== "fish")
      throw new CofferdamError("INVALID_ARGUMENT", "which shell? bash, zsh or fish", { hint: "cofferdam completion bash" });
    const words = await Promise.all(commands.map(async (entry) => wordsOf(await entry.load())));
    out.data(shell === "fish" ? fish(words) : shell === "zsh" ? `autoload -U +X bashcompinit && bashcompinit\n${bash(words)}` : bash(words));
    return 0;
  },
});

/** Words of groups within groups stand in one list: the second word narrows nothing. */
function wordsOf(loaded: Command | CommandTree): Words {
  const inside = insideOf(loaded);
  const own = inside.flatMap((one) => (isTree(one) ? [] : Object.keys(one.options)));
  const options = [...new Set([...own, ...Object.keys(GLOBAL_OPTIONS)])].map((name) => `--${name}`);
  return { name: loaded.name, subcommands: [...new Set(inside.slice(1).map(({ name }) => name))], options };
}

function insideOf(loaded: Command | CommandTree): readonly (Command | CommandTree)[] {
  return [loaded, ...(isTree(loaded) ? loaded.commands.flatMap(insideOf) : [])];
}

function bash(words: readonly Words[]): string {
  return `_cofferdam() {
  local word=\${COMP_WORDS[COMP_CWORD]} command=\${COMP_WORDS[1]} choices
  if [ "$COMP_CWORD" -eq 1 ]; then choices="${words.map((one) => one.name).join(" ")} --help --version"
  else
    case "$command" in
${words.map((one) => `      ${one.name}) choices="${[...one.subcommands, ...one.options].join(" ")}" ;;`).join("\n")}
    esac
  fi
  COMPREPLY=($(compgen -W "$choices" -- "$word"))
}
complete -o default -F _cofferdam cofferdam
`;
}

function fish(words: readonly Words[]): string {
  const lines = words.flatMap((one) => [
    `complete -c cofferdam -n __fish_use_subcommand -a ${one.name}`,
    ...one.subcommands.map((sub) => `complete -c cofferdam -n '__fish_seen_subcommand_from ${one.name}' -a ${sub}`),
    ...one.options.map((option) => `complete -c cofferdam -n '__fish_seen_subcommand_from ${one.name}' -l ${option.slice(2)}`),
  ]);
  return `${lines.join("\n")}\n`;
}
