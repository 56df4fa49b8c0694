rm -rf "$MIGRAINE_OUT/old"
mkdir -p "$MIGRAINE_OUT/old"
