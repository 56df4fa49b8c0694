if [[ -z ${MIGRAINE_CMD_OUTPUT:-} ]]; then
  echo "no output" >&2
  exit 1
elif (( ${#MIGRAINE_CMD_OUTPUT} > 100 )); then
  echo long
else
  echo short
fi
