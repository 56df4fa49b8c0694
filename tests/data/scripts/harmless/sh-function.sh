log() {
  local level=$1
  shift
  printf "%s %s\n" "$level" "$*"
}
log info "command ended with $MIGRAINE_EXIT_CODE"
