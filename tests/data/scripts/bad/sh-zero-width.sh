echo "a​b"
