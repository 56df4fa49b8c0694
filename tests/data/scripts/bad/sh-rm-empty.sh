rm -r $TARGET/*
