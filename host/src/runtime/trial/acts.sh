# Tries what a script and a program must not be able to do, with what a shell does itself, and prints a line for each act:
# its name, a tab, and `worked`, what was read, or why it did not work. Arguments: whether a `script` or a `program` tries,
# the number of a descriptor that may not be, a port that is not the proxy's, a program that may not be run (empty where
# there is none), and what must not be seen of the machine.
__tab='	'
__break='
'

__say() {
  printf '%s%s%s\n' "$1" "$__tab" "${2##*"$__break"}"
}

__try() {
  if __said=$(eval "$2" 2>&1 >/dev/null); then __say "$1" worked; else __say "$1" "${__said:-no reason}"; fi
}

__who=$1 __descriptor=$2 __port=$3 __other=$4
shift 4
if [ -n "$BASH_VERSION" ]; then __say user "=$UID $EUID"; fi
if [ "$__who" = script ]; then __say first "=$$"; else __say first "=$PPID"; fi
for __path do
  if [ -e "$__path" ]; then __say "look $__path" worked; else __try "look $__path" ': <"$__path"'; fi
done
__try write ': >/probe'
__try list ': </'
if [ -n "$BASH_VERSION" ]; then
  # The number of a redirection is part of the text.
  __try descriptor "exec $__descriptor>&1"
  __try socket 'exec 9<>/dev/udp/127.0.0.1/9'
fi
if [ "$__who" = script ]; then
  # Nothing of that name is there: whoever could look would say so.
  __try start '/dev/code/none'
else
  if [ -n "$BASH_VERSION" ]; then __try connect 'exec 9<>"/dev/tcp/127.0.0.1/$__port"'; fi
  if [ -n "$__other" ]; then __try other '"$__other"'; fi
fi
