enable -f /tmp/x.so x
x
