lines=0
while IFS= read -r line; do
  lines=$((lines + 1))
done <<< "$MIGRAINE_CMD_OUTPUT"
echo "$lines lines"
