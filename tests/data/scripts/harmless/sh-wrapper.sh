run() {
  echo "+ $*"
  "$@"
}
run echo a
