echo x > /dev/sda
