// A service that keeps documents of any length: what the shop takes is too short for large updates.
#pragma once

#include <string>
#include <vector>

namespace bench::paper {

/// Those of retail-service that are needed to be started in its place.
struct document_options {
    std::string data;
    bool creates = false;
    std::string http = "127.0.0.1:0";
    std::string listen;
    std::vector<std::string> peers;
};

/// PUT /documents/{id} replaces a register; GET /ready and /status are those of the shop. Serves until SIGTERM.
int serve_documents(const document_options& options);

}  // namespace bench::paper
