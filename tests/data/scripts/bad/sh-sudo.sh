echo "$PASSWORD" | sudo -S id
