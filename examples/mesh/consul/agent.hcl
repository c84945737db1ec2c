# The agent of ./run mesh --consul, beside `consul agent -dev` (made for Consul 1.20): what applies to the whole mesh.
# A real one has servers and an agent on each node; all that is below stays the same.
node_name = "mesh"
bind_addr = "127.0.0.1"
log_level = "warn"

ports {
  dns  = -1
  grpc = 8502 # sidecars get their configuration here
}

# A dev agent allows what nobody has denied. Here nobody may speak to anybody but as intentions/ say.
default_intention_policy = "deny"

config_entries {
  bootstrap = [
    # Where Consul knows of HTTP, a denied request is answered with 403, and a sidecar's statistics tell statuses.
    {
      kind     = "service-defaults"
      name     = "shop-edge"
      protocol = "http"
    },
    {
      kind     = "service-defaults"
      name     = "shop-cloud"
      protocol = "http"
    },
    # Edges by customer; the cloud while no edge is healthy. What a customer is, the gateway's routes say (hash_policy).
    {
      kind            = "service-resolver"
      name            = "shop-edge"
      connect_timeout = "0.5s"
      failover = {
        "*" = { service = "shop-cloud" }
      }
      load_balancer = { policy = "maglev" }
    },
  ]
}
