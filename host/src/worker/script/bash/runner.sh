# Serves the calls of one plugin's Bash handlers: frames come in on a descriptor of their own and go out on another. Each
# call runs in a subshell of its own, which holds neither of them, so that nothing a script prints or sets outlasts it or
# stands between frames. Only builtins are used. Run by the Bash that took the worker's place.

# Bytes are counted, not letters.
export LC_ALL=C
shopt -u sourcepath
__requests=3 __replies=4
__load=1 __hook=2 __command=3 __shutdown=4 __echo=7
__loaded=17 __reply=19 __failed=20 __out=22 __oversized=25
__body_max=1048576
__read= __status=0 __output=
__handlers=() __environment=() __names=() __values=() __arguments=()

# One byte of the next frame as a number; the byte 0 reads as nothing.
__byte() {
  IFS= read -r -d '' -n 1 -u "$__requests" __read || exit 0
  printf -v "$1" %d "'$__read"
  (( $1 &= 255 ))
}

__number() {
  local at byte number=0
  for (( at = 0; at < $2; at++ )); do
    __byte byte
    (( number |= byte << 8 * at ))
  done
  printf -v "$1" %d "$number"
}

# A frame with a body of text, without a raw segment.
__send() {
  local kind=$1 call=$2 body=$3 head
  printf -v head '\\x%02x' $(( kind & 255 )) $(( kind >> 8 )) 0 0 \
    $(( call & 255 )) $(( call >> 8 & 255 )) $(( call >> 16 & 255 )) $(( call >> 24 & 255 )) \
    $(( ${#body} & 255 )) $(( ${#body} >> 8 & 255 )) $(( ${#body} >> 16 & 255 )) $(( ${#body} >> 24 & 255 )) 0 0 0 0
  printf "$head%s" "$body" >&"$__replies"
}

__answer() {
  if (( ${#3} > __body_max )); then
    __send "$__oversized" "$2" "${#3}"
  else
    __send "$1" "$2" "$3"
  fi
}

# The names and values of a body.
__read_body() {
  local count name length value
  __names=() __values=()
  IFS= read -r -u "$__requests" count || exit 0
  while (( count-- > 0 )); do
    read -r -u "$__requests" name length || exit 0
    value=
    if (( length > 0 )); then
      IFS= read -r -N "$length" -u "$__requests" value || exit 0
    fi
    IFS= read -r -N 1 -u "$__requests" || exit 0
    __names+=("$name") __values+=("$value")
  done
}

# The raw segment, byte for byte, into a file; a NUL byte ends a piece and is not part of it.
__read_output() {
  local left=$1 piece wanted
  while (( left > 0 )); do
    (( wanted = left < 65536 ? left : 65536 ))
    IFS= read -r -d '' -n "$wanted" -u "$__requests" piece || exit 0
    printf %s "$piece"
    (( left -= ${#piece} ))
    if (( ${#piece} < wanted )); then
      printf '\0'
      (( left -= 1 ))
    fi
  done >"$2"
}

__take_load() {
  local at name
  __read_body
  for (( at = 0; at < ${#__names[@]}; at++ )); do
    name=${__names[at]}
    case $name in
      directory) [[ -z ${__values[at]} ]] || cd -- "${__values[at]}" || exit 1 ;;
      handler*) __handlers[${name#handler}]=${__values[at]} ;;
      # What a Bash takes from nobody, what is no name in it, and names of its own here.
      =IFS | =UID | =EUID | =PPID | =BASHOPTS | =SHELLOPTS | =BASH_VERSINFO | =*[!A-Za-z0-9_]* | =[0-9]* | =__*) ;;
      =*) __environment+=("${name#=}=${__values[at]}") ;;
    esac
  done
}

# What a script has in place of programs.
date() {
  local form='%a %b %e %H:%M:%S %Z %Y'
  while (( $# )); do
    case $1 in
      -u | --utc) ;;
      +*) form=${1#+} ;;
      *) __without_programs "date $1" date; return ;;
    esac
    shift
  done
  printf "%($form)T\n" -1
}

__without_programs() {
  printf '%s: there is no such builtin, and this plugin may start no program of that name: it needs exec=%s\n' "$1" "$2" >&2
  return 127
}

command_not_found_handle() {
  __without_programs "$1" "$1"
}

# Inside of the subshell: nothing of the runner's own is left but what a script may want.
__run() {
  local __at __name
  exec 3<&- 4>&- 7<&- 7>&-
  unset LC_ALL
  # Not before: LC_ALL, or a name that the runner uses, would change how it reads.
  (( ${#__environment[@]} == 0 )) || export "${__environment[@]}"
  for (( __at = 0; __at < ${#__names[@]}; __at++ )); do
    __name=${__names[__at]}
    case $__name in
      =*) export "${__name#=}=${__values[__at]}" ;;
      +) __arguments+=("${__values[__at]}") ;;
    esac
  done
  # Granted, it is the program that is meant.
  if type -P date >/dev/null; then unset -f date; fi
  __file=$1
  set -- "${__arguments[@]}"
  unset -f __byte __number __send __answer __read_body __read_output __take_load __serve
  source "$__file"
}

__serve() {
  local kind extra call body raw
  while :; do
    __number kind 2; __number extra 2; __number call 4; __number body 4; __number raw 4
    case $kind in
      "$__load")
        __take_load
        __send "$__loaded" "$call" '{"api_version":"1.0"}'
        ;;
      "$__hook" | "$__command")
        __read_body
        if (( raw > 0 )); then
          __read_output "$raw" "$TMPDIR/.migraine-output"
          __names+=("=MIGRAINE_CMD_OUTPUT_FILE") __values+=("$TMPDIR/.migraine-output")
        fi
        __output=$(__run "${__handlers[extra]}" 2>&2)
        __status=$?
        (( raw == 0 )) || : >"$TMPDIR/.migraine-output"
        __answer "$__reply" "$call" "$__status
$__output"
        __output=
        ;;
      "$__echo")
        IFS= read -r -N "$body" -u "$__requests" body || exit 0
        __send "$__reply" "$call" "$body"
        ;;
      "$__shutdown")
        __send "$__reply" "$call" ''
        exit 0
        ;;
      *) exit 1 ;;
    esac
  done
}

__serve
