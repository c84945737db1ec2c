#include "transport/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>

namespace anabranch::transport {

namespace ssl = asio::ssl;

namespace {

tl::unexpected<error> unusable(const char* what, const std::filesystem::path& file,
                               const error_code& problem) {
    return fail(errc::invalid_argument,
                "TLS " + std::string(what) + " '" + file.string() + "' cannot be used: " + problem.message());
}

bool is_reason(const error_code& problem, int reason) {
    return problem.category() == asio::error::get_ssl_category() &&
           ERR_GET_REASON(static_cast<unsigned long>(problem.value())) == reason;
}

}  // namespace

result<std::shared_ptr<ssl::context>> make_tls_context(const tls_credentials& credentials) {
    auto context = std::make_shared<ssl::context>(ssl::context::tls);
    SSL_CTX* native = context->native_handle();
    error_code problem;

    context->use_certificate_chain_file(credentials.certificate.string(), problem);
    if (problem) return unusable("certificate", credentials.certificate, problem);
    context->use_private_key_file(credentials.private_key.string(), ssl::context::pem, problem);
    if (problem) return unusable("private key", credentials.private_key, problem);
    if (SSL_CTX_check_private_key(native) != 1) {
        ERR_clear_error();
        return fail(errc::invalid_argument, "TLS private key '" + credentials.private_key.string() +
                                                "' does not belong to certificate '" +
                                                credentials.certificate.string() + "'");
    }
    context->load_verify_file(credentials.authority.string(), problem);
    if (problem) return unusable("authority", credentials.authority, problem);

    context->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, problem);
    if (problem || SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION) != 1)
        return fail(errc::invalid_argument, "this OpenSSL does not speak TLS 1.3");
    // Connections are few and long: every one verifies the certificates anew, none resumes an earlier
    // session.
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(native, 0);
    return context;
}

result<void> demand_host(tls_socket& socket, const std::string& host) {
    SSL* native = socket.native_handle();
    X509_VERIFY_PARAM* demands = SSL_get0_param(native);
    error_code not_an_address;
    asio::ip::make_address(host, not_an_address);
    if (!not_an_address) {
        if (X509_VERIFY_PARAM_set1_ip_asc(demands, host.c_str()) == 1) return {};
    } else {
        X509_VERIFY_PARAM_set_hostflags(demands, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (X509_VERIFY_PARAM_set1_host(demands, host.data(), host.size()) == 1 &&
            SSL_set_tlsext_host_name(native, host.c_str()) == 1)
            return {};
    }
    ERR_clear_error();
    return fail(errc::invalid_argument, "'" + host + "' cannot be the name of a TLS server");
}

std::string explain_tls(const error_code& problem, tls_socket& socket) {
    const bool is_of_tls = problem.category() == asio::error::get_ssl_category();
    if (const auto verdict = SSL_get_verify_result(socket.native_handle()); is_of_tls && verdict != X509_V_OK)
        return std::string("the peer's certificate is refused: ") + X509_verify_cert_error_string(verdict);
    if (is_reason(problem, SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE))
        return "the peer presented no certificate";
    for (const int reason : {SSL_R_WRONG_VERSION_NUMBER, SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_HTTP_REQUEST,
                             SSL_R_HTTPS_PROXY_REQUEST, SSL_R_UNEXPECTED_MESSAGE, SSL_R_BAD_RECORD_TYPE}) {
        if (is_reason(problem, reason)) return "the peer does not speak TLS (" + problem.message() + ")";
    }
    // With "alert" in the message it is the peer's verdict on this side.
    return is_of_tls ? "TLS: " + problem.message() : problem.message();
}

bool looks_like_tls(std::string_view bytes) {
    // RFC 8446, section 5.1: content type alert or handshake, then the legacy version's first byte.
    return bytes.size() >= 2 && (bytes[0] == '\x15' || bytes[0] == '\x16') && bytes[1] == '\x03';
}

}  // namespace anabranch::transport
