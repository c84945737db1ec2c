# The layers and the arrows between them: the one place that the link dependencies, the include test and the
# link test all read. An arrow points only downwards; what it reaches, directly or through others, may be used.

# Bottom first: a layer may depend only on layers named before it.
set(layers base codec causality crdt oplog storage storage_memory storage_rocksdb store sync replica transport http)

set(layer_depends_base)
set(layer_depends_codec base)
set(layer_depends_causality codec)
set(layer_depends_crdt causality)
set(layer_depends_oplog causality)
set(layer_depends_storage base)
set(layer_depends_storage_memory storage)
set(layer_depends_storage_rocksdb storage)
set(layer_depends_store crdt oplog storage storage_memory storage_rocksdb)
set(layer_depends_sync oplog)
set(layer_depends_replica store sync)
set(layer_depends_transport replica)
set(layer_depends_http transport)

# Reachable by arrows, but only through the public headers: their internal headers stay closed.
set(layer_avoids_transport store storage storage_memory storage_rocksdb)
# Of what is internal the adapter uses the hash of base only: it is written as a user would write it.
set(layer_avoids_http codec causality crdt oplog storage storage_memory storage_rocksdb store sync replica transport)

# A layer lives in src/<layer> unless it is named here.
set(layer_folder_storage_memory storage/memory)
set(layer_folder_storage_rocksdb storage/rocksdb)

# Foreign headers with an owner: "regular expression on the included name" and the layers that may include it.
set(foreign_headers rocksdb io_and_tls)
set(foreign_pattern_rocksdb "^rocksdb/")
set(foreign_layers_rocksdb storage_rocksdb)
set(foreign_pattern_io_and_tls "^(boost/(asio|beast)|openssl/ssl|sys/socket|netinet/|arpa/)")
set(foreign_layers_io_and_tls transport)
