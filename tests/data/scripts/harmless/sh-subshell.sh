(
  cd reports || exit 1
  for file in *.txt; do
    echo "$file"
  done
)
