if [[ $MIGRAINE_CMD_OUTPUT =~ ^version\ ([0-9]+)\.([0-9]+) ]]; then
  echo "major ${BASH_REMATCH[1]}"
fi
