# Runs a Docker daemon in namespaces of its own until standard input ends, which is when the tests end in whatever way,
# and leaves nothing of it behind. Prints the id of the process that holds the namespaces.
set -eu
folder=$1 group=$2 parent=$3

unshare --net --mount --pid --fork --kill-child --mount-proc sh -c '
    ip link set lo up
    exec dockerd --iptables=false --ip6tables=false --ip-masq=false --bip 172.30.99.1/24 --storage-driver vfs \
        --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" --group "$2" --cgroup-parent "/$3" \
        --log-level warn --host "unix://$1/docker.sock"
' daemon "$folder" "$group" "$parent" </dev/null >"$folder/log" 2>&1 &
holder=$!
echo "$holder"

cat >/dev/null

# The kernel ends everything in the namespaces with their process 1, which the holder waits for.
first=$(cat "/proc/$holder/task/$holder/children" 2>/dev/null || true)
kill -KILL ${first:-$holder} 2>/dev/null || true
wait "$holder" 2>/dev/null || true
for _ in $(seq 200); do
    find /sys/fs/cgroup -depth -type d -path "*/$parent*" -exec rmdir {} + 2>/dev/null || true
    if [ -z "$(find /sys/fs/cgroup -type d -name "$parent")" ] && rm -rf "$folder" 2>/dev/null; then
        exit 0
    fi
    sleep 0.05
done
echo "something of the daemon is left: $folder, cgroup $parent" >&2
exit 1
