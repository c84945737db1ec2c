#include "paper/document_service.hpp"

#include <anabranch/replica.hpp>

#include <iostream>

#include "endpoint.hpp"
#include "http_server.hpp"
#include "measure/measurement.hpp"

namespace bench::paper {

namespace {

constexpr std::size_t longest = 4 * 1024 * 1024;

json::object status_of(const anabranch::bucket& bucket) {
    json::array progress;
    for (const auto& entry : bucket.progress()) {
        progress.push_back({{"origin", to_string(entry.origin)}, {"sequence", entry.sequence}});
    }
    return {{"progress", std::move(progress)}};
}

class documents {
  public:
    explicit documents(anabranch::bucket bucket) : bucket_(std::move(bucket)) {}

    retail::http_response handle(const retail::http_request& request) {
        if (request.method == "PUT") return put(request.target, request.body);
        if (request.target == "/status") return {200, json::serialize(status_of(bucket_)), {}};
        return {bucket_.is_member() ? 200U : 503U, "{}", {}};
    }

  private:
    retail::http_response put(const std::string& name, const std::string& text) {
        const auto done = bucket_.commit([&](anabranch::transaction& tx) { tx.last_writer<std::string>(name).set(text); });
        if (!done) return {503, done.error().message, {}};
        return {200, "{}", {}};
    }

    anabranch::bucket bucket_;
};

}  // namespace

int serve_documents(const document_options& options) {
    auto store = expect(anabranch::store::open(options.data));
    auto bucket = expect(options.creates ? store.create_bucket("documents") : store.bucket("documents"));
    anabranch::replica replica(store, {.listen = options.listen,
                                       .peers = options.peers,
                                       .backoff_max = std::chrono::seconds(1)});
    documents all(bucket);
    retail::http_server server(*retail::parse_endpoint(options.http), 2,
                               [&all](const retail::http_request& request) { return all.handle(request); },
                               {.body = longest});
    expect(replica.start());
    std::cout << "listening http=" << server.port() << " sync=" << replica.port() << std::endl;
    server.run();
    replica.stop();
    return 0;
}

}  // namespace bench::paper
