# SPDX-License-Identifier: BSD-3-Clause
# Completion of vhostx-probe for bash: commands and options are those that --help names.

_vhostx_probe_words() { # the option or command names of `vhostx-probe [COMMAND] --help`
  local probe=$1 command=$2
  if [ -z "$command" ]; then
    "$probe" --help 2>/dev/null | sed -n '/^Subcommands:/,/^$/s/^  \([a-z][a-z-]*\).*/\1/p'
    printf '%s\n' --help --version
  else
    "$probe" "$command" --help 2>/dev/null | grep -oE '(^|[ ,{])--[a-z][a-z-]*' | grep -oE -- '--[a-z-]+' | sort -u
  fi
}

_vhostx_probe_features() { # completes the last word of a list with commas
  local current=$1 list='' protocol=()
  [[ $2 != --protocol-features ]] || protocol=(--protocol)
  [[ $current != *,* ]] || list=${current%,*},
  local names
  names=$("$3" features "${protocol[@]}" 2>/dev/null | awk 'NR > 1 { print $2 }')
  mapfile -t COMPREPLY < <(compgen -P "$list" -W "all none $names" -- "${current##*,}")
  compopt -o nospace 2>/dev/null
}

_vhostx_probe() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command='' probe=${COMP_WORDS[0]}
  [ "$COMP_CWORD" -lt 2 ] || command=${COMP_WORDS[1]}
  COMPREPLY=()
  case $previous in
    --features | --protocol-features) _vhostx_probe_features "$current" "$previous" "$probe"; return ;;
    --device) mapfile -t COMPREPLY < <(compgen -W 'net other guess' -- "$current"); return ;;
    --group)
      mapfile -t COMPREPLY < <(compgen -W "$("$probe" check --list 2>/dev/null | awk '{ print $1 }' | grep -oE '^[a-z-]+' | sort -u)" -- "$current")
      return ;;
  esac
  if [ -z "$command" ] || [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_vhostx_probe_words "$probe" "$command")" -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$current") # sockets and records
  fi
}

complete -F _vhostx_probe vhostx-probe
