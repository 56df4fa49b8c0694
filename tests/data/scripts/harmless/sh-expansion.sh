name=${MIGRAINE_LOG_FILE##*/}
base=${name%.*}
echo "${base^^} ${name:0:3} ${MIGRAINE_X:=default}"
