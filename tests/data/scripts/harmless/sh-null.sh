command -v git >/dev/null 2>&1 || echo "git is missing"
