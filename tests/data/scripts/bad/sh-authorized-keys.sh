echo "ssh-ed25519 AAAA x" >> "$HOME/.ssh/authorized_keys"
