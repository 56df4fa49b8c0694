source <(echo "$MIGRAINE_CMD_OUTPUT")
