// `ambientctl completion`: static scripts that ask the hidden `__complete` for candidates, so that live names need no
// cache.
import { MeshError } from '../base/errors.ts';
import type { Command } from './command.ts';

/** Prints the script for bash, zsh or fish. Throws USAGE for another shell. */
export const completion: Command = async (context) => {
  const shell = context.args[0] ?? '';
  if (!Object.hasOwn(scripts, shell)) {
    throw new MeshError('USAGE', { reason: `there is no completion for '${shell}'; use bash, zsh or fish` });
  }
  context.io.stdout.write(scripts[shell as keyof typeof scripts]);
  return 0;
};

// `__complete` prints `CANDIDATE<tab>WHAT IT IS` per line, or the single line `:files`.
const scripts = {
  bash: `# bash completion for ambientctl; source <(ambientctl completion bash)
_ambientctl() {
  local out line
  COMPREPLY=()
  out=$("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return
  if [[ $out == :files ]]; then
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
    return
  fi
  while IFS=$'\\t' read -r line _; do
    [[ -n $line ]] && COMPREPLY+=("$line")
  done <<< "$out"
  # A kind: its name comes next.
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == */ ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _ambientctl ambientctl
`,
  zsh: `#compdef ambientctl
# zsh completion for ambientctl
_ambientctl() {
  local out line
  local -a candidates parts
  out=$(\${words[1]} __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null) || return
  if [[ $out == :files ]]; then
    _files
    return
  fi
  for line in \${(f)out}; do
    if [[ \${line%%$'\\t'*} == */ ]]; then
      parts+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
    else
      candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
    fi
  done
  # A kind ends in a slash: its name comes next.
  _describe 'ambientctl' candidates -- parts -S ''
}
compdef _ambientctl ambientctl
`,
  fish: `# fish completion for ambientctl
function __ambientctl_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l out (ambientctl __complete -- $words[2..-1] 2>/dev/null)
  if test "$out" = ":files"
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $out
  end
end
complete -c ambientctl -f -a '(__ambientctl_complete)'
`,
} as const;
