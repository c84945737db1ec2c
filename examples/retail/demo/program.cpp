#include "demo/program.hpp"

#include <stdlib.h>

#include <cerrno>
#include <fstream>
#include <iostream>
#include <system_error>

#include "demo/terminal.hpp"

namespace retail {

namespace fs = std::filesystem;

namespace {
constexpr std::size_t generated_orders = 450;
}

order_set load_orders(const std::string& file_or_empty) {
    fs::path file = file_or_empty;
    if (file.empty()) {
        if (const char* root = ::getenv("ANABRANCH_ROOT")) {
            const fs::path shared = fs::path(root) / ".." / "shared" / "data" / "online-retail.csv";
            if (fs::exists(shared)) file = fs::canonical(shared);
        }
    }
    auto orders = file.empty() ? generate_orders(generated_orders) : read_orders(file);
    const std::string name = file.empty() ? "generated ones" : file.string();
    constexpr std::size_t shown = 20;
    for (std::size_t i = 0; i < orders.skipped.size() && i < shown; ++i) {
        std::cerr << name << ":" << orders.skipped[i].line << ": skipped: " << orders.skipped[i].reason
                  << "\n";
    }
    std::cout << "  orders     " << grouped(static_cast<std::int64_t>(orders.orders.size())) << " with "
              << grouped(static_cast<std::int64_t>(orders.lines)) << " lines from " << name << " ("
              << orders.skipped.size() << " lines skipped)" << std::endl;
    if (orders.orders.empty()) throw std::runtime_error("no order line can be used");
    return orders;
}

bool can_write(const std::string& program, const std::string& file) {
    const bool existed = fs::exists(fs::symlink_status(file));
    const bool good = std::ofstream(file, std::ios::app).good();
    if (!good) std::cerr << program << ": " << file << " cannot be written\n";
    if (good && !existed) fs::remove(file);
    return good;
}

bool write_file(const std::string& program, const std::string& file, const std::string& content) {
    std::ofstream stream(file, std::ios::binary);
    stream << content << std::flush;
    if (!stream) std::cerr << program << ": " << file << " could not be written\n";
    return stream.good();
}

workspace::workspace(const std::string& program, bool keep) : temporary_(!keep) {
    std::string name = (fs::temp_directory_path() / (program + "-XXXXXX")).string();
    if (!::mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), name);
    path_ = name;
    if (keep) std::cout << "  stores     " << path_.string() << "\n";
}

workspace::workspace(const std::string& directory, const std::vector<std::string>& stores)
    : temporary_(false), path_(fs::absolute(directory)) {
    for (const auto& store : stores) {
        if (fs::exists(path_ / store)) throw std::runtime_error((path_ / store).string() + " exists already");
    }
    fs::create_directories(path_);
    std::cout << "  stores     " << path_.string() << "\n";
}

workspace::~workspace() {
    std::error_code ignored;
    if (temporary_) fs::remove_all(path_, ignored);
}

signal_watch::signal_watch() {
    ::sigemptyset(&signals_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&signals_, number);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = std::jthread([this](const std::stop_token& ended) {
        const timespec patience{0, 50'000'000};
        while (!ended.stop_requested()) {
            if (::sigtimedwait(&signals_, nullptr, &patience) > 0) stop_.request_stop();
        }
    });
}

}  // namespace retail
