case "$MIGRAINE_STEP_NAME" in
  build*) echo "building" ;;
  test|check) echo "testing" ;;
  *) exit 0 ;;
esac
