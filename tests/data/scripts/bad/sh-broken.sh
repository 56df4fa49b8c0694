if [ -f x ]; then
  echo "never closed
