declare -A seen
for word in $MIGRAINE_CMD_OUTPUT; do
  (( seen[$word]++ ))
done
for word in "${!seen[@]}"; do echo "$word ${seen[$word]}"; done
