// Small files of this host in a directory of its file system.
#pragma once

#include <filesystem>

#include "storage/host_files.hpp"

namespace anabranch::storage {

/// Makes the directory where there is none, when a file is created. Errors name the file.
std::unique_ptr<host_files> open_host_directory(std::filesystem::path directory);

}  // namespace anabranch::storage
