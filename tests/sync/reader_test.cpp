#include <random>

#include "support/catch.hpp"
#include "sync/message.hpp"

using namespace anabranch;
using namespace anabranch::sync;

namespace {

std::string bytes_of(const std::vector<message>& messages) {
    std::string bytes;
    for (const auto& m : messages) append_message(bytes, m);
    return bytes;
}

std::string noise(std::size_t n) {
    std::mt19937 random(3);
    std::string bytes(n, '\0');
    for (char& b : bytes) b = static_cast<char>(random());
    return bytes;
}

std::string frame(std::uint32_t length, std::uint8_t type, std::string_view payload) {
    std::string bytes;
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(length >> 8 * i);
    bytes += static_cast<char>(type);
    return bytes + std::string(payload);
}

errc error_of(std::string_view bytes, bool greeted = true) {
    message_reader reader;
    if (greeted) reader.feed(bytes_of({greeting{}}));
    reader.feed(bytes);
    while (true) {
        const auto next = reader.next();
        if (!next) return next.error().code;
        if (!*next) return errc{};
    }
}

const std::vector<message> conversation{greeting{},
                                        have{"bucket", 3, {77}, 2, 0, true, true, replica_id{}, {{{}, 5, {}}}},
                                        ready{},
                                        records{"bucket", 1, 0, std::string(3'000, 'r')},
                                        acknowledgement{"bucket", {{{}, 9}}},
                                        heartbeat{},
                                        goodbye{4, "enough"},
                                        adverts{"bucket", {{}, {}}, {{1, {{0, 7}, {1, 8}}}}},
                                        parting{"bucket", true, 25, "cut"},
                                        executions{"bucket", {{{}, {{3, {1, 2}}, {1, {4}}}}}},
                                        behind{"bucket", 1},
                                        walk{"bucket", 1, "request"},
                                        state_piece{"bucket", 1, 0, "piece"},
                                        piece_taken{"bucket", 1},
                                        wishes{2'000, 1'000, 4'000, 10, -7, {{"bucket", -1}}},
                                        waiting{}};

}  // namespace

TEST_CASE("messages come out whole, wherever the bytes are cut") {
    const auto bytes = bytes_of(conversation);
    for (const std::size_t piece : {1U, 2U, 3U, 5U, 7U, 64U, 1'000U, 100'000U}) {
        message_reader reader;
        std::vector<message> read;
        for (std::size_t i = 0; i < bytes.size(); i += piece) {
            reader.feed(std::string_view(bytes).substr(i, piece));
            while (auto next = reader.next().value()) read.push_back(std::move(*next));
        }
        REQUIRE(read.size() == conversation.size());
        CHECK(bytes_of(read) == bytes);
    }
}

TEST_CASE("a message of several frames comes out as one") {
    for (const std::size_t size : {limits::frame - 100, limits::frame, limits::frame + 1, 3 * limits::frame, limits::transaction}) {
        const auto body = noise(size);
        message_reader reader;
        reader.feed(bytes_of({greeting{}}));
        REQUIRE(reader.next().value());
        const auto bytes = bytes_of({records{"b", 0, 0, body}, heartbeat{}});
        for (std::size_t i = 0; i < bytes.size(); i += 300'000) {
            reader.feed(std::string_view(bytes).substr(i, 300'000));
            if (i + 300'000 < bytes.size()) CHECK_FALSE(reader.next().value());
        }
        const auto whole = reader.next().value();
        REQUIRE(whole);
        CHECK(std::get<records>(*whole).body == body);
        CHECK(std::holds_alternative<heartbeat>(*reader.next().value()));
        CHECK_FALSE(reader.next().value());
    }
}

TEST_CASE("a foreign protocol is noticed by its first bytes") {
    CHECK(error_of("GET / HTTP/1.1\r\n", false) == errc::malformed);
    CHECK(error_of(std::string_view("\x16\x03\x01\x02\x00\x01", 6), false) == errc::malformed);  // TLS
    CHECK(error_of(noise(5), false) == errc::malformed);
    CHECK(error_of(frame(0, 1, ""), false) == errc::malformed);
    CHECK(error_of(frame(4, 1, "ANBX"), false) == errc::malformed);
    CHECK(error_of(frame(257, 1, ""), false) == errc::malformed);  // by its header alone
    CHECK(error_of(bytes_of({heartbeat{}}), false) == errc::malformed);
    CHECK(error_of("", false) == errc{});
    CHECK(error_of(std::string_view("\x2c\0\0\0", 4), false) == errc{});
}

TEST_CASE("frames that break the rules are refused by their headers") {
    CHECK(error_of(frame(limits::frame + 1, 4, "")) == errc::malformed);
    CHECK(error_of(frame(UINT32_MAX, 4, "")) == errc::malformed);
    CHECK(error_of(frame(limits::frame, 4, "")) == errc{});  // waits for the rest
    CHECK(error_of(frame(1, 0x80 | 6, "x")) == errc::malformed);
    CHECK(error_of(frame(0, 0x80 | 4, "")) == errc::malformed);
    CHECK(error_of(frame(1, 0x80 | 4, "x") + frame(0, 6, "")) == errc::malformed);
    CHECK(error_of(bytes_of({greeting{}})) == errc::malformed);
    CHECK(error_of(frame(0, 0, "")) == errc::malformed);
    CHECK(error_of(frame(0, 10, "")) == errc::malformed);
    CHECK(error_of(frame(limits::frame, 19, "")) == errc::malformed);  // no such type: nothing is waited for
    CHECK(error_of(frame(limits::frame, 0x80 | 19, "")) == errc::malformed);
    CHECK(error_of(frame(1, 6, "x")) == errc::malformed);
}

TEST_CASE("a message has an end, however many frames it says that follow") {
    message_reader reader;
    reader.feed(bytes_of({greeting{}}));
    REQUIRE(reader.next().value());
    const std::string payload(limits::frame, 'x');
    std::size_t taken = 0;
    for (int i = 0; i < 100; ++i) {
        reader.feed(frame(limits::frame, 0x80 | 4, payload));
        const auto next = reader.next();
        if (!next) {
            CHECK(next.error().code == errc::malformed);
            break;
        }
        taken += payload.size();
    }
    CHECK(taken <= max_message);
}

TEST_CASE("mangled conversations end in an error or in other messages, never in a crash") {
    std::mt19937 random(11);
    const auto bytes = bytes_of(conversation);
    for (int i = 0; i < 20'000; ++i) {
        auto mangled = bytes;
        for (auto n = 1 + random() % 3; n > 0; --n) mangled[random() % mangled.size()] = static_cast<char>(random());
        (void)error_of(mangled, false);
    }
}

TEST_CASE("versions are judged before the rest of a greeting is read") {
    const auto of = [](std::uint8_t oldest, std::uint8_t newest, std::string_view rest) {
        std::string payload = "ANBR";
        payload += static_cast<char>(oldest);
        payload += static_cast<char>(newest);
        payload += rest;
        return error_of(frame(static_cast<std::uint32_t>(payload.size()), 1, payload), false);
    };
    CHECK(of(2, 9, "whatever it is in later versions") == errc::unsupported_protocol);
    CHECK(of(0, 0, "") == errc::unsupported_protocol);
    CHECK(of(1, 1, "short") == errc::malformed);
    CHECK(of(3, 1, std::string(33, '\1')) == errc::malformed);
    CHECK(of(0, 5, std::string(33, '\1')) == errc{});
}
