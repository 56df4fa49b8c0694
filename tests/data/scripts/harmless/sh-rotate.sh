if [ -f "$MIGRAINE_LOG_FILE" ] && [ "$(stat -c %s "$MIGRAINE_LOG_FILE")" -gt 1000 ]; then
  mv "$MIGRAINE_LOG_FILE" "$MIGRAINE_LOG_FILE.old"
fi
