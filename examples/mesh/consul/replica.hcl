# One replica of the shop, for `consul services register`: two services, each with a sidecar that ends mTLS before it.
# The driver of ./run mesh --consul fills in the names in capitals, and so does envsubst:
#   NAME=edge-1 SERVICE=shop-edge ADDRESS=10.0.0.11 LOCAL_ADDRESS=127.0.0.1 CHECK_ADDRESS=127.0.0.1
#   UPSTREAMS='{ destination_name = "sync-cloud", local_bind_port = 7500 }'
services = [
  # Orders: shop-edge or shop-cloud.
  {
    name    = "${SERVICE}"
    id      = "${NAME}"
    address = "${ADDRESS}"
    port    = 8080
    check = {
      id       = "${NAME}-ready"
      http     = "http://${CHECK_ADDRESS}:8080/ready"
      interval = "1s" # Consul takes nothing shorter
      timeout  = "1s"
    }
    connect = {
      sidecar_service = {
        address = "${ADDRESS}"
        port    = 21000
        # Without this the sidecar of a service that is dead passes, and nothing fails over.
        checks = [{ name = "${NAME}", alias_service = "${NAME}" }]
        proxy = {
          local_service_address = "${LOCAL_ADDRESS}"
          config                = { local_connect_timeout_ms = 500 }
        }
      }
    }
  },

  # Replication: a service for each replica, as each has to reach each other one, and not any of them. By the tag they
  # find each other.
  {
    name    = "sync-${NAME}"
    id      = "sync-${NAME}"
    address = "${ADDRESS}"
    port    = 7400
    tags    = ["shop-replica"]
    connect = {
      sidecar_service = {
        address = "${ADDRESS}"
        port    = 21001
        # It has no check, and so always passes: who is not ready for orders replicates all the more.
        checks = [{ name = "sync-${NAME}", alias_service = "sync-${NAME}" }]
        proxy = {
          local_service_address = "${LOCAL_ADDRESS}"
          # Those that the catalogue has, each at a port of its own here: retail-service --peer.
          upstreams = [${UPSTREAMS}]
        }
      }
    }
  },
]
