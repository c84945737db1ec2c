//! The workload `retail-reconnect`, apart from any library: what each side does and what has to come out.
//!
//! Operations are drawn before anything is measured. That is possible because what a side does depends only on its
//! own view, and while it is disconnected that view is the same in every library.

use std::sync::LazyLock;

pub const PRODUCTS: usize = 10_000;
pub const TAGS: u32 = 32;

const INITIAL_SEED: u64 = 42;
pub const EDGE_SEED: u64 = 1001;
pub const CLOUD_SEED: u64 = 2002;
pub const EXTRA_SEED: u64 = 3003;

/// Keys are made once: formatting them is no part of what a library costs.
static KEYS: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..PRODUCTS).map(|i| format!("product/{i}")).collect());

/// Two digits each, so that the order of the strings is that of the numbers.
static TAG_NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..TAGS).map(|tag| format!("{tag:02}")).collect());

pub fn key(product: usize) -> &'static str {
    &KEYS[product]
}

pub fn tag_name(tag: u32) -> &'static str {
    &TAG_NAMES[tag as usize]
}

#[derive(Clone, Copy, PartialEq)]
pub enum Side {
    Edge,
    Cloud,
}

impl Side {
    /// The identity of the replica. Libraries draw random ones; fixed ones make bytes and ties reproducible. They are
    /// short to each library's favour: Yrs writes one into nearly every item.
    pub fn id(self) -> u8 {
        match self {
            Side::Edge => 1,
            Side::Cloud => 2,
        }
    }
}

/// A set of tags, bit `i` for tag `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tags(u32);

impl Tags {
    pub fn insert(&mut self, tag: u32) {
        self.0 |= 1 << tag;
    }

    pub fn remove(&mut self, tag: u32) {
        self.0 &= !(1 << tag);
    }

    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// In tag order.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..TAGS).filter(move |tag| self.0 & 1 << tag != 0)
    }

    pub fn from_names<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let mut tags = Self::default();
        for name in names {
            tags.insert(name.as_ref().parse().expect("a tag is a number"));
        }
        tags
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Product {
    pub stock: i64,
    pub price: i64,
    pub tags: Tags,
}

#[derive(Clone, Copy)]
pub enum Change {
    Stock(i64),
    Price(i64),
    AddTag(u32),
    RemoveTag(u32),
}

#[derive(Clone, Copy)]
pub struct Operation {
    pub product: usize,
    pub change: Change,
}

/// splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }

    fn price(&mut self) -> i64 {
        100 + i64::from(self.below(9900))
    }
}

pub fn initial_products() -> Vec<Product> {
    let mut random = Random(INITIAL_SEED);
    (0..PRODUCTS as u32)
        .map(|i| {
            let (first, second) = (i % TAGS, (7 * i + 3) % TAGS);
            let mut tags = Tags::default();
            tags.insert(first);
            tags.insert(if first == second {
                (second + 1) % TAGS
            } else {
                second
            });
            Product {
                stock: 100,
                price: random.price(),
                tags,
            }
        })
        .collect()
}

/// What one side has done to one product since it was disconnected.
#[derive(Clone, Copy)]
struct History {
    now: Product,
    priced: bool,
    /// Tags present because of an add of this side, which a remove elsewhere cannot have seen.
    added: Tags,
    removed: Tags,
}

/// One side's operations while it is alone, and its own view after them.
pub struct Solo {
    pub operations: Vec<Operation>,
    products: Vec<History>,
}

impl Solo {
    pub fn draw(before: &[Product], seed: u64, count: usize) -> Self {
        let mut solo = Solo {
            operations: Vec::with_capacity(count),
            products: before
                .iter()
                .map(|&now| History {
                    now,
                    priced: false,
                    added: Tags::default(),
                    removed: Tags::default(),
                })
                .collect(),
        };
        let mut random = Random(seed);
        for _ in 0..count {
            let operation = solo.draw_one(&mut random);
            solo.products[operation.product].record(operation.change);
            solo.operations.push(operation);
        }
        solo
    }

    /// The order of the draws is part of the workload.
    fn draw_one(&self, random: &mut Random) -> Operation {
        let u = (random.next() >> 11) as f64 / (1u64 << 53) as f64;
        let product = (u * u * PRODUCTS as f64) as usize;
        let tags = self.products[product].now.tags;
        let change = match random.below(100) {
            0..70 => {
                let magnitude = 1 + i64::from(random.below(5));
                let positive = random.next().is_multiple_of(2);
                Change::Stock(if positive { magnitude } else { -magnitude })
            }
            70..85 => Change::Price(random.price()),
            95.. if tags.len() > 0 => {
                let index = random.below(tags.len()) as usize;
                Change::RemoveTag(tags.iter().nth(index).expect("index < len"))
            }
            _ => Change::AddTag(random.below(TAGS)),
        };
        Operation { product, change }
    }

    pub fn product(&self, i: usize) -> Product {
        self.products[i].now
    }
}

impl History {
    fn record(&mut self, change: Change) {
        match change {
            Change::Stock(delta) => self.now.stock += delta,
            Change::Price(price) => {
                self.now.price = price;
                self.priced = true;
            }
            Change::AddTag(tag) => {
                self.now.tags.insert(tag);
                self.added.insert(tag);
            }
            Change::RemoveTag(tag) => {
                self.now.tags.remove(tag);
                self.added.remove(tag);
                self.removed.insert(tag);
            }
        }
    }
}

/// How the products after the reconnect compare with what they have to be.
#[derive(Clone, Copy)]
pub struct Verdict {
    /// Every counter is exact and every price is one of the last written.
    pub values_ok: bool,
    /// Products whose tags are not the add-wins result.
    pub tags_mismatched: usize,
}

pub fn judge(initial: &[Product], edge: &Solo, cloud: &Solo, merged: &[Product]) -> Verdict {
    let mut verdict = Verdict {
        values_ok: true,
        tags_mismatched: 0,
    };
    for (i, (initial, merged)) in initial.iter().zip(merged).enumerate() {
        let sides = [&edge.products[i], &cloud.products[i]];

        let stock = sides.iter().map(|s| s.now.stock).sum::<i64>() - initial.stock;
        let price_ok = if sides.iter().any(|s| s.priced) {
            sides
                .iter()
                .any(|s| s.priced && s.now.price == merged.price)
        } else {
            merged.price == initial.price
        };
        verdict.values_ok &= merged.stock == stock && price_ok;

        verdict.tags_mismatched += usize::from(merged.tags != add_wins(initial.tags, sides));
    }
    verdict
}

/// A tag is there if a side ended with an add of its own, since no remove has seen that add, or if it was there from
/// the start and nobody removed it.
fn add_wins(initial: Tags, sides: [&History; 2]) -> Tags {
    let [a, b] = sides;
    Tags(a.added.0 | b.added.0 | (initial.0 & !a.removed.0 & !b.removed.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = Random(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_fresh_add_wins_over_a_remove() {
        let start = Product {
            stock: 0,
            price: 0,
            tags: Tags::from_names(["00", "01", "02"]),
        };
        let after = |changes: &[Change]| {
            let mut history = History {
                now: start,
                priced: false,
                added: Tags::default(),
                removed: Tags::default(),
            };
            changes.iter().for_each(|&change| history.record(change));
            history
        };
        let edge = after(&[
            Change::AddTag(0),
            Change::RemoveTag(1),
            Change::AddTag(3),
            Change::RemoveTag(3),
        ]);
        let cloud = after(&[Change::RemoveTag(0), Change::RemoveTag(1)]);
        let expected = Tags::from_names(["00", "02"]);
        assert_eq!(add_wins(start.tags, [&edge, &cloud]), expected);
    }
}
