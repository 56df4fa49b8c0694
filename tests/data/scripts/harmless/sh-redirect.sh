exec 3>>"$MIGRAINE_LOG_FILE"
echo started >&3
exec 3>&-
