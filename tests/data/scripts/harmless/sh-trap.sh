tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT
echo "$MIGRAINE_CMD_OUTPUT" > "$tmp"
wc -l < "$tmp"
