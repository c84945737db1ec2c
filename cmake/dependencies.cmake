# What the library itself needs. anabranchConfig.cmake.in repeats this list for consumers.
# Tests and examples look for what they need in addition in their own CMakeLists.txt.

find_package(Threads REQUIRED)
find_package(tl-expected CONFIG REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(zstd CONFIG REQUIRED)
find_package(cereal CONFIG REQUIRED)
find_package(RocksDB 7.8 CONFIG REQUIRED)
find_package(Boost 1.81 CONFIG REQUIRED)
