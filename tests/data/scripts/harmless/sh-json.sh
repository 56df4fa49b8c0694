printf '{"status":"success","output":"%s"}\n' "${MIGRAINE_CMD_OUTPUT//\"/}"
