words=($MIGRAINE_CMD_OUTPUT)
for word in "${words[@]}"; do
  [[ $word == *error* ]] && echo "$word"
done
exit 0
