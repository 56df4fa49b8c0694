while true; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx >> fill; done
