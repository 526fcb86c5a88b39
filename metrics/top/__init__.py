"""`shardis top`: a server in a terminal, live."""
