c"ur"l -s http://198.51.100.7/
