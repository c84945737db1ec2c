// What another store has encoded, with its numbers for replicas.
#pragma once

#include <functional>
#include <optional>

#include "causality/version_vector.hpp"
#include "codec/archive.hpp"

namespace anabranch::crdt {

class foreign_input final : public codec::basic_input<foreign_input> {
  public:
    /// The number here of the replica that has that one there; nothing where there is none.
    using numbers = std::function<std::optional<origin>(std::uint64_t)>;

    foreign_input(std::string_view in, const numbers& number) : basic_input(in), number_(number) {}
    void translate(origin& o) {
        const auto there = varint();
        const auto here = ok() ? number_(there) : std::nullopt;
        if (!here) return fail();
        o = *here;
    }
    void translate(dot& d) {
        (*this)(d.writer, d.sequence);
        if (d.sequence == 0) d = {};  // none
    }

  private:
    const numbers& number_;
};

}  // namespace anabranch::crdt
