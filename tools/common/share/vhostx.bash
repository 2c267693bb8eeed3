# SPDX-License-Identifier: BSD-3-Clause
# Completion of vhostx-switch, vhostx-bench, vhostx-probe and vhostx-keeper for bash. The programs themselves say what may stand in
# a place (`PROGRAM --complete WORD...`), so this knows every option that they have.

_vhostx() {
  local current=${COMP_WORDS[COMP_CWORD]} line=${COMP_LINE:0:COMP_POINT} words=() typed before replies
  read -ra words <<<"$line"
  [[ $line != *[[:space:]] ]] || words+=("")
  # bash takes words apart at '=' and ':' and replaces only the last part: what stands before it is cut off.
  typed=${words[${#words[@]} - 1]}
  [[ $current != [=:]* ]] || current=''
  before=${typed%"$current"}
  replies=$("${COMP_WORDS[0]}" --complete "${words[@]:1}" 2>/dev/null)
  COMPREPLY=()
  if [[ $replies == //files ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    compopt -o filenames 2>/dev/null
  elif [[ $replies ]]; then
    mapfile -t COMPREPLY <<<"$replies"
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
    [[ $replies == *$'\n'* || $replies != *[=,] ]] || compopt -o nospace 2>/dev/null
  fi
}

complete -F _vhostx vhostx-switch vhostx-bench vhostx-probe vhostx-keeper
