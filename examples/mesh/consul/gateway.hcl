# What mirrors, retries and fails over where Consul has the mesh: the sidecar of the gateway (gateway.yaml), which is a service
# without instances to be called. For `consul services register`, with the names in capitals filled in; TRUST_DOMAIN is
# what /v1/connect/ca/roots says.
#
# No configuration entry of Consul's mirrors requests. envoy_listener_json does, as the listener is then one's own; its
# routes are those of ../gateway.yaml, which says why they are as they are. What Consul 1.20 does not know it does not take:
# filters such as basic_auth, so these are the gateway's, and request_headers_mutations of a mirror, so here only -shadow in
# its authority tells a copy. It is ignored on an upstream that has a resolver, so it is on
# shop-cloud's, which has none, and routes to shop-edge's cluster, which has one: that makes the edges by customer, and
# the cloud where no edge is left. The copies go to shop-cloud's own cluster, with a breaker of its own.
services = [
  {
    name    = "gateway"
    id      = "gateway"
    address = "127.0.0.1"
    port    = 8000
    connect = {
      sidecar_service = {
        port   = 21000 # nobody calls the gateway through the mesh
        checks = [{ name = "gateway", alias_service = "gateway" }]
        proxy = {
          upstreams = [
            {
              destination_name = "shop-edge"
              local_bind_port  = 8001 # its listener is not used, its cluster is
              config = {
                # No connect_timeout_ms here: it changes the clusters' names.
                limits = { max_connections = 256, max_pending_requests = 128, max_concurrent_requests = 256 }
                passive_health_check = {
                  interval                  = "0.5s"
                  max_failures              = 5
                  enforcing_consecutive_5xx = 100
                  max_ejection_percent      = 100
                  base_ejection_time        = "1s"
                }
              }
            },
            {
              destination_name = "shop-cloud"
              local_bind_port  = 8002 # where the gateway sends everything
              config = {
                limits = { max_connections = 4, max_pending_requests = 4, max_concurrent_requests = 8 }
                envoy_listener_json = <<EOF
{
  "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
  "name": "mesh",
  "address": { "socket_address": { "address": "127.0.0.1", "port_value": 8002 } },
  "filter_chains": [ { "filters": [ {
    "name": "envoy.filters.network.http_connection_manager",
    "typed_config": {
      "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
      "stat_prefix": "mesh",
      "http_filters": [
        { "name": "envoy.filters.http.router",
          "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } }
      ],
      "route_config": { "name": "shop", "virtual_hosts": [ {
        "name": "shop",
        "domains": [ "*" ],
        "include_request_attempt_count": true,
        "retry_policy": {
          "retry_on": "connect-failure,refused-stream,reset,5xx,retriable-status-codes",
          "retriable_status_codes": [ 425 ],
          "num_retries": 2,
          "per_try_timeout": "2s",
          "retriable_request_headers": [
            { "name": ":method", "string_match": { "exact": "GET" } },
            { "name": "idempotency-key", "present_match": true }
          ],
          "retry_host_predicate": [ {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate" }
          } ],
          "host_selection_retry_max_attempts": 5,
          "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
              "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
              "update_frequency": 2
            }
          },
          "retry_back_off": { "base_interval": "0.01s", "max_interval": "0.1s" }
        },
        "routes": [
          { "match": { "prefix": "/", "headers": [ { "name": ":method", "string_match": { "exact": "GET" } } ] },
            "route": {
              "cluster": "shop-edge.default.dc1.internal.${TRUST_DOMAIN}",
              "timeout": "6s",
              "host_rewrite_literal": "shop",
              "hash_policy": [ { "header": { "header_name": "x-customer" } } ]
            } },
          { "match": { "prefix": "/" },
            "route": {
              "cluster": "shop-edge.default.dc1.internal.${TRUST_DOMAIN}",
              "timeout": "6s",
              "host_rewrite_literal": "shop",
              "hash_policy": [ { "header": { "header_name": "x-customer" } } ],
              "request_mirror_policies": [ { "cluster": "shop-cloud.default.dc1.internal.${TRUST_DOMAIN}" } ]
            } }
        ]
      } ] }
    }
  } ] } ]
}
EOF
              }
            },
          ]
        }
      }
    }
  },
]
