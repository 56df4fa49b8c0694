set -euo pipefail
shopt -s nullglob
files=(*.log)
echo "${#files[@]} logs"
