scp workflow.log user@198.51.100.7:
