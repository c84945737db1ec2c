# Replicas, and nobody else.
kind = "service-intentions"
name = "sync-cloud"
sources = [
  { name = "sync-edge-1", action = "allow" },
  { name = "sync-edge-2", action = "allow" },
]
