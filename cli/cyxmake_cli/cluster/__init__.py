"""The client's half of the cluster: connect, look up, upload, submit, fetch; or run locally."""
