#include "storage/rocksdb/mapped_log.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace anabranch::storage {
namespace {

using rocksdb::IOStatus;

bool is_full(int cause) { return cause == ENOSPC || cause == EDQUOT; }

IOStatus failure(const std::string& path, int cause) {
    const auto why = path + ": " + std::strerror(cause);
    return is_full(cause) ? IOStatus::NoSpace(why) : IOStatus::IOError(why);
}

/// How much of each open log is written: the files are longer.
class log_sizes {
  public:
    using size = std::atomic<std::uint64_t>;

    void add(const std::string& path, const std::shared_ptr<size>& written) {
        const std::lock_guard lock(mutex_);
        std::erase_if(open_, [](const auto& entry) { return entry.second.expired(); });
        open_[path] = written;
    }
    /// nullptr where it is closed, and as long as it says.
    std::shared_ptr<size> find(const std::string& path) const {
        const std::lock_guard lock(mutex_);
        const auto it = open_.find(path);
        return it == open_.end() ? nullptr : it->second.lock();
    }

  private:
    mutable std::mutex mutex_;
    std::map<std::string, std::weak_ptr<size>> open_;
};

/// Appended to by one thread at a time, synced by any.
class mapped_log final : public rocksdb::FSWritableFile {
  public:
    mapped_log(std::string path, int file, std::shared_ptr<log_sizes::size> size)
        : path_(std::move(path)), file_(file), size_(std::move(size)) {}
    mapped_log(const mapped_log&) = delete;
    mapped_log& operator=(const mapped_log&) = delete;
    ~mapped_log() override { mapped_log::Close({}, nullptr).PermitUncheckedError(); }

    /// Makes room for `window` bytes more. What fails, or 0.
    int advance() {
        unmap();
        const auto begin = static_cast<off_t>(windows_ * window);
        if (::fallocate(file_, 0, begin, window) != 0) return errno;
        void* memory = ::mmap(nullptr, window, PROT_READ | PROT_WRITE, MAP_SHARED, file_, begin);
        if (memory == MAP_FAILED) return errno;
        memory_ = static_cast<char*>(memory);
        used_ = 0;
        ++windows_;
        return 0;
    }

    IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
        for (std::size_t done = 0; done < data.size();) {
            if (memory_ == nullptr || used_ == window) {
                if (const int cause = advance(); cause != 0) return failure(path_, cause);
            }
            const auto piece = std::min(data.size() - done, window - used_);
            std::memcpy(memory_ + used_, data.data() + done, piece);
            used_ += piece;
            done += piece;
            *size_ += piece;
        }
        return IOStatus::OK();
    }
    IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options, const rocksdb::DataVerificationInfo&,
                    rocksdb::IODebugContext* context) override {
        return Append(data, options, context);
    }

    /// The kernel has it already.
    IOStatus Flush(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return IOStatus::OK(); }
    IOStatus Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
        return ::fdatasync(file_) == 0 ? IOStatus::OK() : failure(path_, errno);
    }
    bool IsSyncThreadSafe() const override { return true; }

    IOStatus Close(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
        if (file_ < 0) return IOStatus::OK();
        unmap();
        const bool is_cut = ::ftruncate(file_, static_cast<off_t>(*size_)) == 0;
        const int cause = errno;
        ::close(std::exchange(file_, -1));
        return is_cut ? IOStatus::OK() : failure(path_, cause);
    }

    std::uint64_t GetFileSize(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return *size_; }
    /// Takes its space by itself.
    void PrepareWrite(std::size_t, std::size_t, const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {}
    IOStatus Allocate(std::uint64_t, std::uint64_t, const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return IOStatus::OK(); }

  private:
    // Small, as what is mapped counts as memory of the process.
    static constexpr std::size_t window = 256 * 1024;

    void unmap() {
        if (memory_ != nullptr) ::munmap(std::exchange(memory_, nullptr), window);
    }

    const std::string path_;
    int file_;
    char* memory_ = nullptr;  // the last window
    std::size_t used_ = 0;    // of it
    std::size_t windows_ = 0;
    const std::shared_ptr<log_sizes::size> size_;
};

class log_mapping_file_system final : public rocksdb::FileSystemWrapper {
  public:
    using FileSystemWrapper::FileSystemWrapper;

    const char* Name() const override { return "anabranch::log_mapping_file_system"; }

    IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options, std::unique_ptr<rocksdb::FSWritableFile>* made,
                             rocksdb::IODebugContext* context) override {
        if (!path.ends_with(".log")) return target()->NewWritableFile(path, options, made, context);
        const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (file < 0) return failure(path, errno);
        const auto size = std::make_shared<log_sizes::size>(0);
        auto log = std::make_unique<mapped_log>(path, file, size);
        const int cause = log->advance();
        if (is_full(cause)) return failure(path, cause);
        if (cause != 0) return target()->NewWritableFile(path, options, made, context);
        sizes_.add(path, size);
        *made = std::move(log);
        return IOStatus::OK();
    }

    /// A backup copies as much of the log as this says. Behind it there are zeros while they are copied, and then perhaps the
    /// middle of a record.
    IOStatus GetFileSize(const std::string& path, const rocksdb::IOOptions& options, std::uint64_t* size, rocksdb::IODebugContext* context) override {
        const auto written = sizes_.find(path);
        if (!written) return target()->GetFileSize(path, options, size, context);
        *size = *written;
        return IOStatus::OK();
    }

  private:
    log_sizes sizes_;
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> with_mapped_logs(std::shared_ptr<rocksdb::FileSystem> rest) {
    return std::make_shared<log_mapping_file_system>(std::move(rest));
}

}  // namespace anabranch::storage
