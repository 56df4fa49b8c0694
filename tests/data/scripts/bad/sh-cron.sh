(echo "* * * * * /tmp/x") | crontab -
