"""Published data: which files there are, how they are downloaded, verified and unpacked."""
