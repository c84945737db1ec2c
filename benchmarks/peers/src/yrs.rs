//! Yrs: maps all the way down, and state vectors and diffs as in the Yjs sync protocol.

use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Doc, Map, MapPrelim, MapRef, ReadTxn, StateVector, Transact, TransactionMut, Update};

use crate::replica::{Replica, Traffic};
use crate::workload::{Change, Operation, Product, Side, Tags, key, tag_name};

/// With the first or the second version of the encoding of updates.
pub struct Yrs<const VERSION: u8> {
    doc: Doc,
    products: MapRef,
    /// There is no counter. By hand, it is a map with a total for each replica that only this replica writes.
    own_total: &'static str,
}

impl<const VERSION: u8> Yrs<VERSION> {
    fn change(&self, txn: &mut TransactionMut, operation: Operation) {
        let product = map(&self.products, txn, key(operation.product));
        match operation.change {
            Change::Stock(delta) => {
                let totals = map(&product, txn, "stock");
                let total = totals.get_as::<_, Option<i64>>(txn, self.own_total);
                let total = total.expect("an integer").unwrap_or(0);
                totals.insert(txn, self.own_total, total + delta);
            }
            Change::Price(price) => {
                product.insert(txn, "price", price);
            }
            // Concurrent adds are ordered and the last one stands for the key: if its own side then removed it, the
            // key is gone and the other side's add is lost.
            Change::AddTag(tag) => {
                map(&product, txn, "tags").insert(txn, tag_name(tag), true);
            }
            Change::RemoveTag(tag) => {
                map(&product, txn, "tags").remove(txn, tag_name(tag));
            }
        }
    }

    fn state_vector(&self) -> Vec<u8> {
        self.doc.transact().state_vector().encode_v1()
    }

    fn diff(&self, since: &[u8]) -> Vec<u8> {
        let since = StateVector::decode_v1(since).expect("a valid state vector");
        let txn = self.doc.transact();
        match VERSION {
            1 => txn.encode_diff_v1(&since),
            _ => txn.encode_diff_v2(&since),
        }
    }

    fn integrate(&self, update: &[u8]) {
        let update = match VERSION {
            1 => Update::decode_v1(update),
            _ => Update::decode_v2(update),
        };
        self.doc
            .transact_mut()
            .apply_update(update.expect("a valid update"))
            .expect("the update applies");
    }
}

fn map(parent: &MapRef, txn: &impl ReadTxn, key: &str) -> MapRef {
    let child = parent.get(txn, key).expect("the key is there");
    child.cast().expect("a map")
}

impl<const VERSION: u8> Replica for Yrs<VERSION> {
    const SYSTEM: &str = match VERSION {
        1 => "yrs-v1",
        _ => "yrs-v2",
    };
    const CRATE: &str = "yrs";

    fn new(side: Side) -> Self {
        let doc = Doc::with_client_id(side.id().into());
        let products = doc.get_or_insert_map("products");
        let own_total = match side {
            Side::Edge => "edge",
            Side::Cloud => "cloud",
        };
        Yrs {
            doc,
            products,
            own_total,
        }
    }

    fn populate(&mut self, products: &[Product]) {
        let mut txn = self.doc.transact_mut();
        for (i, product) in products.iter().enumerate() {
            let object = self.products.insert(&mut txn, key(i), MapPrelim::default());
            object.insert(
                &mut txn,
                "stock",
                MapPrelim::from([(self.own_total, product.stock)]),
            );
            object.insert(&mut txn, "price", product.price);
            let tags = product.tags.iter().map(|tag| (tag_name(tag), true));
            object.insert(&mut txn, "tags", tags.collect::<MapPrelim>());
        }
    }

    fn apply(&mut self, operation: Operation) {
        self.change(&mut self.doc.transact_mut(), operation);
    }

    fn apply_for_delta(&mut self, operation: Operation) -> Vec<u8> {
        let mut txn = self.doc.transact_mut();
        self.change(&mut txn, operation);
        txn.commit();
        match VERSION {
            1 => txn.encode_update_v1(),
            _ => txn.encode_update_v2(),
        }
    }

    fn read(&self, product: usize) -> Product {
        let txn = self.doc.transact();
        let product = map(&self.products, &txn, key(product));
        let totals = map(&product, &txn, "stock");
        Product {
            stock: totals
                .values(&txn)
                .flatten()
                .map(|total| total.cast::<i64>().expect("an integer"))
                .sum(),
            price: product.get_as(&txn, "price").expect("an integer"),
            tags: Tags::from_names(map(&product, &txn, "tags").keys(&txn)),
        }
    }

    fn reconnect(edge: &mut Self, cloud: &mut Self) -> Traffic {
        let mut traffic = Traffic::default();

        let edge_has = edge.state_vector();
        traffic.message(Side::Edge, &[&edge_has]);

        let (cloud_has, for_edge) = (cloud.state_vector(), cloud.diff(&edge_has));
        traffic.message(Side::Cloud, &[&cloud_has, &for_edge]);
        edge.integrate(&for_edge);

        let for_cloud = edge.diff(&cloud_has);
        traffic.message(Side::Edge, &[&for_cloud]);
        cloud.integrate(&for_cloud);

        traffic
    }

    fn save(&mut self) -> Vec<u8> {
        self.diff(&StateVector::default().encode_v1())
    }

    fn load(blob: &[u8]) -> Self {
        let loaded = Self::new(Side::Edge);
        loaded.integrate(blob);
        loaded
    }
}
