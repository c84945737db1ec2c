# Orders come from the gateway, which has authenticated whoever sends them, and from nobody else.
kind = "service-intentions"
name = "shop-cloud"
sources = [
  { name = "gateway", action = "allow" },
]
