now=$(printf "%(%F %T)T" -1)
echo "$now $MIGRAINE_WORKFLOW_NAME"
