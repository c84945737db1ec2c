#include "transport/authority.hpp"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <stdexcept>

namespace anabranch::test {

namespace {

using key_pointer = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using certificate_pointer = std::unique_ptr<X509, decltype(&X509_free)>;

void must(bool done, const char* what) {
    if (!done) throw std::runtime_error(what);
}

key_pointer make_key() {
    key_pointer key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
    must(key != nullptr, "no key");
    return key;
}

void add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
        X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()), &X509_EXTENSION_free);
    must(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1, "no extension");
}

/// Unsigned, without extensions.
certificate_pointer make_certificate(EVP_PKEY* key, const char* name, int serial,
                                     std::chrono::seconds lifetime) {
    certificate_pointer made(X509_new(), &X509_free);
    X509_set_version(made.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), -3600 + lifetime.count());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    must(X509_set_pubkey(made.get(), key) == 1, "no public key");
    return made;
}

template <class Write>
void write_file(const std::filesystem::path& file, Write write) {
    std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new_file(file.c_str(), "w"), &BIO_free);
    must(out != nullptr && write(out.get()) == 1, "cannot write a PEM file");
}

std::filesystem::path make_directory() {
    auto pattern = (std::filesystem::temp_directory_path() / "anabranch-tls-XXXXXX").string();
    must(mkdtemp(pattern.data()) != nullptr, "no directory");
    return pattern;
}

}  // namespace

class authority::signer {
  public:
    explicit signer(const std::string& name)
        : key(make_key()), certificate(make_certificate(key.get(), name.c_str(), 1, std::chrono::hours{48})) {
        must(X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get())) == 1,
             "no issuer");
        add_extension(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
        must(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0, "not signed");
    }

    key_pointer key;
    certificate_pointer certificate;
};

authority::authority()
    : directory_(make_directory()), signer_(std::make_unique<signer>(directory_.filename().string())) {
    write_file(certificate(),
               [this](BIO* out) { return PEM_write_bio_X509(out, signer_->certificate.get()); });
}

authority::~authority() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

tls_credentials authority::issue(const certificate_wishes& wishes) {
    const auto number = ++issued_;
    const auto key = make_key();
    const auto made = make_certificate(key.get(), "replica", number + 1, wishes.lifetime);
    X509* const issuer = signer_->certificate.get();
    must(X509_set_issuer_name(made.get(), X509_get_subject_name(issuer)) == 1, "no issuer");
    add_extension(made.get(), issuer, NID_subject_alt_name, wishes.names);
    must(X509_sign(made.get(), signer_->key.get(), EVP_sha256()) > 0, "not signed");

    tls_credentials files;
    files.certificate = directory_ / (std::to_string(number) + ".pem");
    files.private_key = directory_ / (std::to_string(number) + ".key");
    files.authority = certificate();
    write_file(files.certificate, [&](BIO* out) { return PEM_write_bio_X509(out, made.get()); });
    write_file(files.private_key, [&](BIO* out) {
        return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    return files;
}

}  // namespace anabranch::test
