#include "storage/rocksdb/directory.hpp"

#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace anabranch::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view marker_prefix = "anabranch storage ";
constexpr unsigned marker_version = 1;

/// A file system of its own has one.
bool is_of_file_system(const fs::path& name) { return name == "lost+found"; }

/// Number in the marker's first line; none where it is not a marker.
std::optional<unsigned> parse_marker(std::string_view text) {
    if (text.substr(0, marker_prefix.size()) != marker_prefix) return std::nullopt;
    unsigned version = 0;
    const char* end = text.data() + text.size();
    const auto [behind, cause] = std::from_chars(text.data() + marker_prefix.size(), end, version);
    if (cause != std::errc() || behind == end || *behind != '\n') return std::nullopt;
    return version;
}

/// 0 where it is not a marker. errc::newer_format.
result<unsigned> read_marker(const fs::path& path) {
    const descriptor file(path, O_RDONLY);
    std::array<char, 64> text;
    const ssize_t size = file.number() < 0 ? -1 : ::read(file.number(), text.data(), text.size());
    if (size < 0) return failure(path, last_error());
    const auto version = parse_marker({text.data(), static_cast<std::size_t>(size)});
    if (version && *version > marker_version) {
        return fail(errc::newer_format, path.parent_path().string() + " has format " + std::to_string(*version));
    }
    return version.value_or(0);
}

}  // namespace

std::error_code last_error() { return {errno, std::generic_category()}; }

tl::unexpected<error> failure(const fs::path& path, std::error_code cause) {
    errc code = errc::storage_failure;
    if (cause == std::errc::no_space_on_device) code = errc::storage_full;
    if (cause == std::errc::not_a_directory) code = errc::foreign_directory;
    return fail(code, path.string() + ": " + cause.message());
}

result<void> sync_path(const fs::path& path) {
    const descriptor opened(path, O_RDONLY);
    if (opened.number() < 0 || ::fsync(opened.number()) != 0) return failure(path, last_error());
    return {};
}

result<void> make_directory(const fs::path& directory) {
    std::error_code cause;
    if (fs::is_directory(directory, cause)) return {};
    if (fs::exists(directory, cause)) {
        return fail(errc::foreign_directory, directory.string() + " is not a directory");
    }
    const fs::path parent = directory.has_parent_path() ? directory.parent_path() : fs::path(".");
    if (parent != directory) {
        if (auto made = make_directory(parent); !made) return made;
    }
    if (!fs::create_directory(directory, cause) && cause) return failure(directory, cause);
    return sync_path(parent);
}

result<void> write_marker(const fs::path& directory, const char* name) {
    const fs::path path = directory / name;
    const std::string text = std::string(marker_prefix) + std::to_string(marker_version) + '\n';
    // Not truncated: of two processes that create a store at once each writes the same bytes.
    const descriptor file(path, O_WRONLY | O_CREAT);
    if (file.number() < 0) return failure(path, last_error());
    const ssize_t written = ::write(file.number(), text.data(), text.size());
    if (written < 0) return failure(path, last_error());
    if (static_cast<std::size_t>(written) < text.size()) return fail(errc::storage_full, path.string());
    if (::fsync(file.number()) != 0) return failure(path, last_error());
    return sync_path(directory);
}

result<void> prepare_directory(const fs::path& directory) {
    if (auto made = make_directory(directory); !made) return made;
    bool marked = false;
    bool current = false;
    bool data = false;
    bool others = false;
    bool backup = false;
    std::vector<fs::path> logs;
    std::error_code cause;
    for (fs::directory_iterator at(directory, cause), end; !cause && at != end; at.increment(cause)) {
        const fs::path& path = at->path();
        const fs::path name = path.filename();
        if (name == store_marker) {
            marked = true;
            continue;
        }
        if (is_of_file_system(name)) continue;
        others = true;
        if (name == backup_marker) backup = true;
        if (name == "CURRENT") current = true;
        if (path.extension() == ".log") logs.push_back(path);
        if (path.extension() == ".log" || path.extension() == ".sst") data = true;
    }
    if (cause) return failure(directory, cause);

    if (!marked) {
        if (backup) return fail(errc::foreign_directory, directory.string() + " is a backup, to be restored before it is opened");
        if (others) return fail(errc::foreign_directory, directory.string() + " holds other files");
        return write_marker(directory, store_marker);
    }
    const auto version = read_marker(directory / store_marker);
    if (!version) return fail(version.error());
    if (*version == 0) {
        // Alone in its directory it is the trace of a crash while it was written.
        if (!others) return write_marker(directory, store_marker);
        return fail(errc::foreign_directory, (directory / store_marker).string() + " is not a marker");
    }
    // Without CURRENT RocksDB would begin anew, and delete what it finds.
    if (data && !current) return fail(errc::corrupt, directory.string() + ": CURRENT is missing");
    // RocksDB moves what a killed process left in the log into tables, one column family after the other. A
    // loss of power between two of them must find the log that the others still need.
    for (const fs::path& log : logs) {
        if (auto synced = sync_path(log); !synced) return synced;
    }
    return {};
}

result<void> check_backup(const fs::path& backup) {
    std::error_code cause;
    if (!fs::exists(backup / backup_marker, cause)) {
        return fail(errc::foreign_directory, backup.string() + " is no backup, or one that was not finished");
    }
    const auto version = read_marker(backup / backup_marker);
    if (!version) return fail(version.error());
    if (*version == 0) return fail(errc::foreign_directory, backup.string() + " is a backup that was not finished");
    return {};
}

result<void> copy_backup(const fs::path& backup, const fs::path& directory) {
    std::error_code cause;
    for (fs::directory_iterator at(backup, cause), end; !cause && at != end; at.increment(cause)) {
        const fs::path name = at->path().filename();
        if (name == backup_marker || is_of_file_system(name)) continue;
        // The tables, too: what damages the backup must not reach the store, nor the other way round.
        if (!fs::copy_file(at->path(), directory / name, cause)) return failure(directory / name, cause);
        if (auto synced = sync_path(directory / name); !synced) return synced;
    }
    if (cause) return failure(backup, cause);
    return sync_path(directory);
}

result<void> make_empty_directory(const fs::path& directory) {
    if (auto made = make_directory(directory); !made) return made;
    std::error_code cause;
    for (fs::directory_iterator at(directory, cause), end; !cause && at != end; at.increment(cause)) {
        if (!is_of_file_system(at->path().filename())) return fail(errc::invalid_argument, directory.string() + " is not empty");
    }
    if (cause) return failure(directory, cause);
    return {};
}

void clear_directory(const fs::path& directory) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(directory, ignored)) {
        if (!is_of_file_system(entry.path().filename())) fs::remove_all(entry.path(), ignored);
    }
}

}  // namespace anabranch::storage
