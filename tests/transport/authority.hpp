// Certificates for tests: an authority of their own, made with OpenSSL's library.
#pragma once

#include <anabranch/replica.hpp>
#include <filesystem>
#include <memory>
#include <string>

namespace anabranch::test {

struct certificate_wishes {
    /// Subject alternative names in OpenSSL's notation: "IP:127.0.0.1", "DNS:cloud.example".
    std::string names = "IP:127.0.0.1";
    /// Valid from an hour ago for this long.
    std::chrono::seconds lifetime = std::chrono::hours{2};
};

/// Signs certificates and writes them as PEM files into a directory of its own, which goes with it.
class authority {
  public:
    authority();
    ~authority();
    authority(const authority&) = delete;
    authority& operator=(const authority&) = delete;

    tls_credentials issue(const certificate_wishes& wishes = {});
    std::filesystem::path certificate() const { return directory_ / "authority.pem"; }

  private:
    class signer;
    std::filesystem::path directory_;
    std::unique_ptr<signer> signer_;
    int issued_ = 0;
};

}  // namespace anabranch::test
