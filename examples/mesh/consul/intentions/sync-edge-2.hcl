# Replicas, and nobody else.
kind = "service-intentions"
name = "sync-edge-2"
sources = [
  { name = "sync-edge-1", action = "allow" },
  { name = "sync-cloud", action = "allow" },
]
