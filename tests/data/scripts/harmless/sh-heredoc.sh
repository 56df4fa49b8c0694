cat <<EOF
step: $MIGRAINE_STEP_NAME
command: ${MIGRAINE_COMMAND:-none}
EOF
