while read -r line; do echo "> $line"; done < <(printf "%s\n" "$MIGRAINE_CMD_OUTPUT")
