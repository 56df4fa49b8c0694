trap 'echo "$BASH_COMMAND" >> log' DEBUG
