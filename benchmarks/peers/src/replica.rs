//! What a library has to offer for the workload.

use crate::workload::{Operation, Product, Side};

/// The bytes and messages of one reconnect.
#[derive(Default)]
pub struct Traffic {
    pub edge_to_cloud: usize,
    pub cloud_to_edge: usize,
    messages: usize,
}

impl Traffic {
    /// Counts one message, which may be made of several byte buffers.
    pub fn message(&mut self, from: Side, buffers: &[&[u8]]) {
        let bytes = buffers.iter().map(|buffer| buffer.len()).sum::<usize>();
        match from {
            Side::Edge => self.edge_to_cloud += bytes,
            Side::Cloud => self.cloud_to_edge += bytes,
        }
        self.messages += 1;
    }

    pub fn round_trips(&self) -> f64 {
        self.messages as f64 / 2.0
    }

    pub fn bytes(&self) -> usize {
        self.edge_to_cloud + self.cloud_to_edge
    }
}

pub trait Replica: Sized {
    /// The name on the command line.
    const SYSTEM: &str;
    /// The crate whose version is reported.
    const CRATE: &str;

    fn new(side: Side) -> Self;

    /// Writes all products in one transaction.
    fn populate(&mut self, products: &[Product]);

    /// Applies and commits one operation.
    fn apply(&mut self, operation: Operation);

    /// Applies and commits one operation and returns the bytes that persist it or push it to another replica.
    fn apply_for_delta(&mut self, operation: Operation) -> Vec<u8>;

    fn read(&self, product: usize) -> Product;

    /// Brings both sides to the same state, by the library's own protocol. Whatever crosses is encoded and decoded.
    fn reconnect(edge: &mut Self, cloud: &mut Self) -> Traffic;

    /// All that is needed to go on after a restart.
    fn save(&mut self) -> Vec<u8>;

    fn load(blob: &[u8]) -> Self;
}
