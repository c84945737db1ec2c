// Two service processes of examples/retail, and between them a link that can be cut.
#pragma once

#include <filesystem>
#include <memory>

#include "demo/relay.hpp"
#include "demo/side.hpp"

namespace bench::paper {

class shops {
  public:
    using command = std::vector<std::string>;
    static command retail_service();
    /// This program, as document_service.hpp has it.
    static command document_service();

    /// Their stores are kept in the directory. The cloud has founded the bucket, and the edge is let in when this
    /// returns; without `has_edge` the cloud is alone.
    shops(command service, const std::filesystem::path& directory, bool has_edge);

    retail::side& cloud() { return cloud_; }
    retail::side& edge() { return *edge_; }
    retail::relay& link() { return *link_; }

  private:
    retail::side cloud_;
    std::unique_ptr<retail::relay> link_;
    std::unique_ptr<retail::side> edge_;
};

/// Until the service takes orders. Throws std::runtime_error where it does not.
void wait_until_ready(const retail::side& service);

/// Now; throws where the service does not answer.
retail::progress progress_of(const retail::side& service);

/// Until it has all of that. Asks all the time: figures are as fine as an answer takes.
void wait_for(const retail::side& service, const retail::progress& goal);

}  // namespace bench::paper
