#include <anabranch/http.hpp>

#include <algorithm>
#include <charconv>

#include "base/hash.hpp"

namespace anabranch::http {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string in_lower_case(std::string_view text) {
    std::string made(text);
    std::transform(made.begin(), made.end(), made.begin(), lower);
    return made;
}

bool is_same_without_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view white = " \t";
    text.remove_prefix(std::min(text.find_first_not_of(white), text.size()));
    return text.substr(0, text.find_last_not_of(white) + 1);
}

std::vector<std::string_view> values_of(const header_lookup& headers, std::string_view name) {
    auto values = headers(in_lower_case(name));
    for (auto& value : values) value = trimmed(value);
    return values;
}

// The message names the header and not its value: it goes into logs, and to whoever sent it.
auto fail_for(std::string_view header, std::string_view what) {
    return fail(errc::invalid_argument, std::string(header).append(" ").append(what));
}

/// A value that two parties may have sent could be either's: of a header that decides anything there must be one.
result<std::optional<std::string_view>> only_value(const header_lookup& headers, std::string_view name) {
    const auto values = values_of(headers, name);
    if (values.empty()) return std::nullopt;
    if (values.size() > 1) return fail_for(name, "is given more than once");
    if (values.front().size() > max_value) return fail_for(name, "is too long");
    return values.front();
}

/// An RFC 8941 string, in its quotes. Nothing where it is malformed.
std::optional<std::string> unquoted(std::string_view text) {
    if (text.size() < 2 || text.back() != '"') return {};
    text = text.substr(1, text.size() - 2);
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '"' || text[i] < 0x20 || text[i] > 0x7e) return {};
        if (text[i] == '\\') {
            ++i;
            if (i == text.size() || (text[i] != '"' && text[i] != '\\')) return {};
        }
        plain += text[i];
    }
    return plain;
}

/// Without quotes what visible ASCII there is, but for what would make it a list, an item with parameters or a broken string.
bool is_bare_key(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return c > 0x20 && c < 0x7f && std::string_view("\",;\\").find(c) == std::string_view::npos;
    });
}

/// Empty: there is none.
result<std::string> read_key(const header_lookup& headers, const request_options& options) {
    std::string_view header = options.key_header;
    auto value = only_value(headers, header);
    if (value && !*value && options.request_id_is_key) {
        header = "x-request-id";
        value = only_value(headers, header);
    }
    if (!value) return fail(value.error());
    if (!*value) return std::string();
    const auto text = **value;
    std::optional<std::string> key;
    if (text.starts_with('"')) {
        key = unquoted(text);
    } else if (is_bare_key(text)) {
        key = text;
    }
    if (!key || key->empty()) return fail_for(header, "is neither a token nor a quoted string");
    return *key;
}

result<std::chrono::milliseconds> read_issued(const header_lookup& headers, std::string_view key,
                                              std::chrono::milliseconds now, const request_options& options) {
    const auto value = only_value(headers, options.issued_header);
    if (!value) return fail(value.error());
    if (*value) {
        if (const auto issued = parse_time(**value)) return *issued;
        return fail_for(options.issued_header, "is neither milliseconds since 1970 nor a time of RFC 3339");
    }
    if (const auto made = time_of_uuid7(key)) return *made;
    if (options.stamp) return now;
    return fail(errc::invalid_argument, "issue time missing: send " + options.issued_header + ", or a UUID of version 7 as " +
                                            options.key_header);
}

/// The principal or the tenant.
result<std::string> read_name(const header_lookup& headers, std::string_view header,
                              const std::optional<std::string>& otherwise) {
    const auto value = only_value(headers, header);
    if (!value) return fail(value.error());
    if (!*value && otherwise) return *otherwise;
    if (!*value || (*value)->empty()) return fail_for(header, "is missing");
    return std::string(**value);
}

bool is_shadow(std::string_view host, std::string_view suffix) {
    const auto colon = host.rfind(':');
    // Colons within brackets belong to an IPv6 address.
    if (colon != host.npos && host.find(']', colon) == host.npos) host = host.substr(0, colon);
    return host.size() >= suffix.size() && is_same_without_case(host.substr(host.size() - suffix.size()), suffix);
}

request_role read_role(const header_lookup& headers, const request_options& options) {
    const auto marks = values_of(headers, options.mirror_header);
    if (std::find(marks.begin(), marks.end(), options.mirror_mark) != marks.end()) return request_role::mirror;
    if (options.mirror_suffix.empty()) return request_role::primary;
    auto hosts = values_of(headers, ":authority");
    if (hosts.empty()) hosts = values_of(headers, "host");
    const bool is_copy = std::any_of(hosts.begin(), hosts.end(),
                                     [&](std::string_view host) { return is_shadow(host, options.mirror_suffix); });
    return is_copy ? request_role::mirror : request_role::primary;
}

/// It is there for the reader of logs: a customer's order does not fail because of it.
std::uint32_t read_attempt(const header_lookup& headers) {
    const auto values = values_of(headers, "x-envoy-attempt-count");
    std::uint32_t attempt = 1;
    if (values.size() != 1) return attempt;
    const auto* end = values.front().data() + values.front().size();
    const auto [rest, failure] = std::from_chars(values.front().data(), end, attempt);
    return failure == std::errc{} && rest == end && attempt > 0 ? attempt : 1;
}

std::string length_of(std::string_view text) {
    std::string bytes;
    for (unsigned shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(text.size() >> shift & 0xff);
    return bytes;
}

}  // namespace

header_lookup lookup_in(std::span<const std::pair<std::string_view, std::string_view>> headers) {
    return [headers](std::string_view name) {
        std::vector<std::string_view> values;
        for (const auto& [found, value] : headers) {
            if (is_same_without_case(found, name)) values.push_back(value);
        }
        return values;
    };
}

hash128 digest(const request_content& content) {
    return sha256_128({length_of(content.method), content.method, length_of(content.target), content.target,
                       length_of(content.body), content.body});
}

result<std::optional<request>> read_request(const header_lookup& headers, const request_content& content,
                                            std::chrono::milliseconds now, const request_options& options) {
    auto key = read_key(headers, options);
    if (!key) return fail(std::move(key.error()));
    if (key->empty()) return std::nullopt;
    const auto issued = read_issued(headers, *key, now, options);
    if (!issued) return fail(issued.error());
    const auto anonymous = options.allow_anonymous ? std::optional(std::string()) : std::nullopt;
    auto principal = read_name(headers, options.principal_header, anonymous);
    if (!principal) return fail(std::move(principal.error()));
    auto tenant = read_name(headers, options.tenant_header, options.default_tenant);
    if (!tenant) return fail(std::move(tenant.error()));
    return request{.tenant = std::move(*tenant),
                   .principal = std::move(*principal),
                   .key = std::move(*key),
                   .issued = *issued,
                   .role = read_role(headers, options),
                   .attempt = read_attempt(headers),
                   .content = digest(content)};
}

}  // namespace anabranch::http
