for ((i = 0; i < 3; i++)); do
  until false; do
    break
  done
  printf "%d\n" "$i"
done
