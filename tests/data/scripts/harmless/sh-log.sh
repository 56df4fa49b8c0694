#!/bin/bash
# Fallback bash script if Python handler fails
echo "$(date): $MIGRAINE_CMD_OUTPUT" >> "$MIGRAINE_LOG_FILE"
