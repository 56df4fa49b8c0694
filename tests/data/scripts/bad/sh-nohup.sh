nohup ./miner >/dev/null 2>&1 &
