echo "$MIGRAINE_CMD_OUTPUT" | grep -i error | sort | uniq -c | head -n 5
