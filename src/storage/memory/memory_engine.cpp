// A B+tree for each space, of reference-counted nodes. A snapshot is one more reference to the roots; a
// writer changes a node in place while only its own tree reaches it and a copy of it otherwise (path copying:
// Driscoll, Sarnak, Sleator, Tarjan, "Making Data Structures Persistent", 1989, section 2.2).
#include "storage/memory/memory_engine.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

namespace anabranch::storage {
namespace {

/// Owns an object together with the other references to it; it is destroyed with the last of them. References
/// may go in any thread; only who holds one may make another.
template <class T>
class reference {
  public:
    reference() = default;
    explicit reference(T* adopted) : to_(adopted) {}
    reference(const reference& other) : to_(other.to_) {
        if (to_) to_->references.fetch_add(1, std::memory_order_relaxed);
    }
    reference(reference&& other) noexcept : to_(std::exchange(other.to_, nullptr)) {}
    reference& operator=(reference other) noexcept {
        std::swap(to_, other.to_);
        return *this;
    }
    ~reference() {
        // The only reference needs no atomic decrement: nobody else can make a second.
        if (to_ && (unique() || to_->references.fetch_sub(1, std::memory_order_acq_rel) == 1))
            T::destroy(to_);
    }

    bool unique() const { return to_->references.load(std::memory_order_acquire) == 1; }
    explicit operator bool() const { return to_ != nullptr; }
    T* get() const { return to_; }
    T* operator->() const { return to_; }
    T& operator*() const { return *to_; }

  private:
    T* to_ = nullptr;
};

/// A key and its value in one allocation.
struct record {
    std::atomic<std::uint32_t> references{1};
    std::uint32_t key_size;
    std::uint32_t value_size;

    static reference<record> make(std::string_view key, std::string_view value) {
        void* memory = ::operator new(sizeof(record) + key.size() + value.size());
        auto* made = new (memory) record(key.size(), value.size());
        key.copy(made->bytes(), key.size());
        value.copy(made->bytes() + key.size(), value.size());
        return reference<record>(made);
    }
    static void destroy(record* r) {
        r->~record();
        ::operator delete(r);
    }

    char* bytes() { return reinterpret_cast<char*>(this + 1); }
    const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
    std::string_view key() const { return {bytes(), key_size}; }
    std::string_view value() const { return {bytes() + key_size, value_size}; }

  private:
    record(std::size_t key, std::size_t value)
        : key_size(static_cast<std::uint32_t>(key)), value_size(static_cast<std::uint32_t>(value)) {
        assert(key_size == key && value_size == value);
    }
};

/// Up to 8 bytes as a number that orders as they do; where two are equal, the bytes behind decide.
std::uint64_t head_of(std::string_view bytes) {
    std::uint64_t head = 0;
    if (bytes.size() >= sizeof head) {
        std::memcpy(&head, bytes.data(), sizeof head);
        if constexpr (std::endian::native == std::endian::little) head = __builtin_bswap64(head);
        return head;
    }
    for (std::size_t i = 0; i < sizeof head; ++i) {
        head = head << 8 | (i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0u);
    }
    return head;
}

std::size_t common_prefix(std::string_view a, std::string_view b) {
    return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

/// Keys in order: those of the entries in a leaf; in an inner node those that part its children (child i
/// holds the keys below key i, child i + 1 the others). Most comparisons are decided without touching a
/// record, by the `heads`: the 8 bytes of every key behind the `prefix` that all keys of the node share.
struct node {
    static constexpr unsigned capacity = 32;

    std::atomic<std::uint32_t> references{1};
    bool leaf;
    std::uint16_t count = 0;
    std::uint32_t prefix = 0;
    std::array<std::uint64_t, capacity> heads;
    std::array<reference<record>, capacity> keys;

    explicit node(bool is_leaf) : leaf(is_leaf) {}
    node(const node& other)
        : leaf(other.leaf), count(other.count), prefix(other.prefix), heads(other.heads), keys(other.keys) {}
    node& operator=(const node&) = delete;
    ~node() = default;
    static void destroy(node* n);

    struct place {
        unsigned index;  ///< of the first key not below the one looked for
        bool exact;
    };
    place find(std::string_view key) const {
        // The binary search would fetch its lines one after the other.
        for (unsigned i = 0; i < capacity; i += 64 / sizeof heads[0]) __builtin_prefetch(&heads[i]);
        if (count == 0) return {0, false};
        unsigned from = 0;
        unsigned to = 0;
        if (key.size() >= prefix) {
            const std::uint64_t head = head_of(key.substr(prefix));
            from = first_head_not_below(head);
            if (from < count && heads[from] == head) {
                // Before the prefix is compared: a hit proves it, and costs one cache miss less.
                if (keys[from]->key() == key) return {from, true};
                to = head == ~std::uint64_t{0} ? count : first_head_not_below(head + 1);
            }
        }
        const std::string_view shared = keys[0]->key().substr(0, prefix);
        if (const int order = key.substr(0, prefix).compare(shared)) return {order < 0 ? 0u : count, false};
        while (from < to) {
            const unsigned middle = (from + to) / 2;
            const int order = key.compare(keys[middle]->key());
            if (order == 0) return {middle, true};
            (order < 0 ? to : from) = order < 0 ? middle : middle + 1;
        }
        return {from, false};
    }

    void insert_key(unsigned index, reference<record> key) {
        if (count == 0) {
            prefix = key->key_size;
        } else if (const auto shared = common_prefix(key->key(), keys[0]->key().substr(0, prefix));
                   shared < prefix) {
            prefix = static_cast<std::uint32_t>(shared);
            for (unsigned i = 0; i < count; ++i) heads[i] = head_of(keys[i]->key().substr(prefix));
        }
        std::copy_backward(heads.begin() + index, heads.begin() + count, heads.begin() + count + 1);
        std::move_backward(keys.begin() + index, keys.begin() + count, keys.begin() + count + 1);
        heads[index] = head_of(key->key().substr(prefix));
        keys[index] = std::move(key);
        ++count;
    }
    void remove_keys(unsigned from, unsigned to) {
        std::copy(heads.begin() + to, heads.begin() + count, heads.begin() + from);
        std::move(keys.begin() + to, keys.begin() + count, keys.begin() + from);
        std::fill(keys.begin() + count - (to - from), keys.begin() + count, reference<record>());
        count = static_cast<std::uint16_t>(count - (to - from));
    }
    /// After keys came that need not share the prefix.
    void rebuild_heads() {
        if (count == 0) return;
        const std::string_view first = keys[0]->key();
        prefix = static_cast<std::uint32_t>(common_prefix(first, keys[count - 1u]->key()));
        for (unsigned i = 0; i < count; ++i) heads[i] = head_of(keys[i]->key().substr(prefix));
    }

  private:
    /// Without branches, which would be mispredicted every other time.
    unsigned first_head_not_below(std::uint64_t head) const {
        const std::uint64_t* base = heads.data();
        unsigned size = count;
        while (size > 1) {
            const unsigned half = size / 2;
            base += base[half - 1] < head ? half : 0;
            size -= half;
        }
        return static_cast<unsigned>(base - heads.data()) + (*base < head ? 1 : 0);
    }
};

struct inner_node : node {
    std::array<reference<node>, capacity + 1> children;

    inner_node() : node(false) {}
    inner_node(const inner_node&) = default;

    unsigned child_for(std::string_view key) const {
        const place at = find(key);
        return at.index + (at.exact ? 1 : 0);
    }
    void insert_child(unsigned index, reference<record> separator, reference<node> right) {
        std::move_backward(children.begin() + index + 1, children.begin() + count + 1,
                           children.begin() + count + 2);
        children[index + 1] = std::move(right);
        insert_key(index, std::move(separator));
    }
    /// Not all of them. A separator goes with each.
    void remove_children(unsigned from, unsigned to) {
        std::move(children.begin() + to, children.begin() + count + 1, children.begin() + from);
        std::fill(children.begin() + count + 1 - (to - from), children.begin() + count + 1,
                  reference<node>());
        const unsigned key = from == 0 ? 0 : from - 1;
        remove_keys(key, key + (to - from));
    }
};

inner_node& inner(node& n) { return static_cast<inner_node&>(n); }
const inner_node& inner(const node& n) { return static_cast<const inner_node&>(n); }

void node::destroy(node* n) {
    if (n->leaf) {
        delete n;
    } else {
        delete static_cast<inner_node*>(n);
    }
}

/// The node itself, or a copy in its place where another tree sees it too.
node& writable(reference<node>& at) {
    if (!at.unique()) {
        at = reference<node>(at->leaf ? new node(*at) : static_cast<node*>(new inner_node(inner(*at))));
    }
    return *at;
}

/// What a full node leaves to its parent: a new right neighbour and the key that parts the two.
struct split {
    reference<record> separator;
    reference<node> right;
};

/// Halves a full node. Where the next key comes last, all stays on the left: so ascending keys fill leaves.
split split_leaf(node& left, unsigned index) {
    reference<node> right(new node(true));
    const unsigned middle = index == left.count ? left.count : left.count / 2u;
    std::move(left.keys.begin() + middle, left.keys.begin() + left.count, right->keys.begin());
    right->count = static_cast<std::uint16_t>(left.count - middle);
    left.count = static_cast<std::uint16_t>(middle);
    left.rebuild_heads();
    right->rebuild_heads();
    return {{}, std::move(right)};
}

/// The middle separator moves up.
split split_inner(inner_node& left, unsigned index) {
    auto* right = new inner_node;
    reference<node> owner(right);
    const unsigned middle = index == left.count ? left.count - 1u : left.count / 2u;
    std::move(left.keys.begin() + middle + 1, left.keys.begin() + left.count, right->keys.begin());
    std::move(left.children.begin() + middle + 1, left.children.begin() + left.count + 1,
              right->children.begin());
    right->count = static_cast<std::uint16_t>(left.count - middle - 1);
    left.count = static_cast<std::uint16_t>(middle);
    left.rebuild_heads();
    right->rebuild_heads();
    return {std::move(left.keys[middle]), std::move(owner)};
}

/// The shortest key above `left` and not above `right`. A record of its own, so that no value is kept alive.
reference<record> separator_of(const record& left, const record& right) {
    return record::make(right.key().substr(0, common_prefix(left.key(), right.key()) + 1), {});
}

split put(reference<node>& at, std::string_view key, std::string_view value) {
    node& n = writable(at);
    const node::place place = n.find(key);
    split grown;
    if (n.leaf) {
        if (place.exact) {
            auto& there = n.keys[place.index];
            if (there.unique() && there->value_size == value.size()) {
                value.copy(there->bytes() + key.size(), value.size());
            } else {
                there = record::make(key, value);
            }
            return grown;
        }
        node* into = &n;
        unsigned index = place.index;
        if (n.count == node::capacity) {
            grown = split_leaf(n, index);
            if (index > n.count || grown.right->count == 0) {
                index -= n.count;
                into = grown.right.get();
            }
        }
        into->insert_key(index, record::make(key, value));
        if (grown.right) grown.separator = separator_of(*n.keys[n.count - 1u], *grown.right->keys[0]);
        return grown;
    }
    const unsigned child = place.index + (place.exact ? 1 : 0);
    split below = put(inner(n).children[child], key, value);
    if (!below.right) return grown;
    node* into = &n;
    unsigned index = child;
    if (n.count == node::capacity) {
        grown = split_inner(inner(n), index);
        if (index > n.count) {
            index -= n.count + 1u;
            into = grown.right.get();
        }
    }
    inner(*into).insert_child(index, std::move(below.separator), std::move(below.right));
    return grown;
}

/// Joins child `left` and its right neighbour where both fit well into one node.
void join_small(inner_node& parent, unsigned left) {
    if (left + 1 > parent.count) return;
    const unsigned extra = parent.children[left]->leaf ? 0 : 1;
    if (parent.children[left]->count + parent.children[left + 1]->count + extra > node::capacity / 2) return;
    node& to = writable(parent.children[left]);
    const node& from = *parent.children[left + 1];
    unsigned end = to.count;
    if (!to.leaf) {
        std::copy_n(inner(from).children.begin(), from.count + 1, inner(to).children.begin() + end + 1);
        to.keys[end++] = parent.keys[left];
    }
    std::copy_n(from.keys.begin(), from.count, to.keys.begin() + end);
    to.count = static_cast<std::uint16_t>(end + from.count);
    to.rebuild_heads();
    parent.remove_children(left + 1, left + 2);
}

/// Leaves null where nothing remains.
void erase_range(reference<node>& at, std::string_view from, std::string_view to) {
    node& n = writable(at);
    if (n.leaf) {
        n.remove_keys(n.find(from).index, n.find(to).index);
        if (n.count == 0) at = {};
        return;
    }
    inner_node& parent = inner(n);
    const unsigned low = parent.child_for(from);
    const unsigned high = parent.child_for(to);
    erase_range(parent.children[low], from, to);
    if (high != low) erase_range(parent.children[high], from, to);
    const unsigned first = parent.children[low] ? low + 1 : low;
    const unsigned last = high == low || !parent.children[high] ? high + 1 : high;
    if (first == 0 && last == parent.count + 1u) {
        at = {};
        return;
    }
    if (first < last) parent.remove_children(first, last);
    join_small(parent, first);
    if (first >= 1) join_small(parent, first - 1);
    if (first >= 2) join_small(parent, first - 2);
}

class tree {
  public:
    /// The entry itself, so that it can be read without the lock; null where there is none.
    reference<record> find(std::string_view key) const {
        if (!root_) return {};
        const node* at = root_.get();
        while (!at->leaf) at = inner(*at).children[inner(*at).child_for(key)].get();
        const node::place place = at->find(key);
        return place.exact ? at->keys[place.index] : reference<record>();
    }

    /// The entry with the greatest key <= `key`.
    reference<record> last(std::string_view key) const {
        if (!root_) return {};
        const node* at = root_.get();
        const node* before = nullptr;  // where the greatest key below all of `at` is
        while (!at->leaf) {
            const unsigned child = inner(*at).child_for(key);
            if (child > 0) before = inner(*at).children[child - 1].get();
            at = inner(*at).children[child].get();
        }
        const node::place place = at->find(key);
        const unsigned end = place.index + (place.exact ? 1 : 0);
        if (end > 0) return at->keys[end - 1];
        if (!before) return {};
        while (!before->leaf) before = inner(*before).children[before->count].get();
        return before->keys[before->count - 1u];
    }

    void put(std::string_view key, std::string_view value) {
        if (!root_) root_ = reference<node>(new node(true));
        split grown = storage::put(root_, key, value);
        if (!grown.right) return;
        auto* above = new inner_node;
        above->children[0] = std::move(root_);
        root_ = reference<node>(above);
        above->insert_child(0, std::move(grown.separator), std::move(grown.right));
    }

    void erase_range(std::string_view from, std::string_view to) {
        if (!root_ || from >= to) return;
        storage::erase_range(root_, from, to);
        while (root_ && !root_->leaf && root_->count == 0) root_ = reference<node>(inner(*root_).children[0]);
    }

    const node* root() const { return root_.get(); }

  private:
    reference<node> root_;
};

using state = std::array<tree, space_count>;

class memory_snapshot final : public snapshot {
  public:
    explicit memory_snapshot(const state& all) : trees(all) {}
    const state trees;
};

class memory_cursor final : public cursor {
  public:
    memory_cursor(tree over, std::string_view from) : over_(std::move(over)) { memory_cursor::seek(from); }

    bool valid() const override { return leaf_ != nullptr; }
    std::string_view key() const override { return leaf_->keys[index_]->key(); }
    std::string_view value() const override { return leaf_->keys[index_]->value(); }
    result<void> status() const override { return {}; }

    void next() override {
        ++index_;
        skip_end_of_leaf();
    }

    void seek(std::string_view key) override {
        above_.clear();
        leaf_ = over_.root();
        if (!leaf_) return;
        while (!leaf_->leaf) {
            const inner_node& n = inner(*leaf_);
            above_.push_back({&n, n.child_for(key)});
            leaf_ = n.children[above_.back().child].get();
        }
        index_ = leaf_->find(key).index;
        skip_end_of_leaf();
    }

  private:
    struct step {
        const inner_node* at;
        unsigned child;
    };

    void skip_end_of_leaf() {
        if (index_ < leaf_->count) return;
        while (!above_.empty() && above_.back().child == above_.back().at->count) above_.pop_back();
        if (above_.empty()) {
            leaf_ = nullptr;
            return;
        }
        leaf_ = above_.back().at->children[++above_.back().child].get();
        while (!leaf_->leaf) {
            above_.push_back({&inner(*leaf_), 0});
            leaf_ = inner(*leaf_).children[0].get();
        }
        index_ = 0;
    }

    const tree over_;
    std::vector<step> above_;
    const node* leaf_ = nullptr;  ///< null when there is no entry
    unsigned index_ = 0;
};

class memory_engine final : public engine {
  public:
    result<std::optional<std::string>> get(space where, std::string_view key,
                                           const snapshot* at) const override {
        const reference<record> found = at ? trees_of(*at)[index(where)].find(key) : [&] {
            const std::lock_guard lock(mutex_);
            return trees_[index(where)].find(key);
        }();
        if (!found) return std::nullopt;
        return std::string(found->value());
    }

    std::unique_ptr<cursor> scan(space where, std::string_view from, const snapshot* at) const override {
        return std::make_unique<memory_cursor>(at ? trees_of(*at)[index(where)] : current(where), from);
    }

    result<std::optional<std::pair<std::string, std::string>>> last(space where,
                                                                    std::string_view key) const override {
        const reference<record> found = [&] {
            const std::lock_guard lock(mutex_);
            return trees_[index(where)].last(key);
        }();
        if (!found) return std::nullopt;
        return std::pair<std::string, std::string>(found->key(), found->value());
    }

    std::unique_ptr<snapshot> take_snapshot() const override {
        const std::lock_guard lock(mutex_);
        return std::make_unique<memory_snapshot>(trees_);
    }

    result<void> write(const batch& changes) override {
        const std::lock_guard lock(mutex_);
        for (const batch::change& c : changes.changes()) {
            tree& into = trees_[index(c.where)];
            switch (c.what) {
                case batch::kind::put:
                    into.put(c.key, c.value);
                    break;
                case batch::kind::erase:
                    into.erase_range(c.key, c.key + '\0');
                    break;
                case batch::kind::erase_range:
                    into.erase_range(c.key, c.value);
                    break;
            }
        }
        return {};
    }

    result<void> sync() override { return {}; }

  private:
    static std::size_t index(space where) { return static_cast<std::size_t>(where); }
    static const state& trees_of(const snapshot& at) { return static_cast<const memory_snapshot&>(at).trees; }

    tree current(space where) const {
        const std::lock_guard lock(mutex_);
        return trees_[index(where)];
    }

    // Not a shared_mutex: it is held for some 100 ns, and with glibc's four busy readers let a writer starve
    // (20 writes a second instead of 400,000).
    mutable std::mutex mutex_;
    state trees_;
};

}  // namespace

std::unique_ptr<engine> open_memory() { return std::make_unique<memory_engine>(); }

}  // namespace anabranch::storage
