"""The Open Inference Protocol, version 2, over gRPC; loaded where an endpoint has a port for it."""
