"""What an administrator looks at: metrics for Prometheus, the status page, `shardis top`."""
