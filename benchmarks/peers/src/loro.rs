//! Loro: a counter, a register and a map of tags for each product; version vectors and exported updates.

use loro::VersionVector;
use loro::{Container, ExportMode, LoroCounter, LoroDoc, LoroMap, LoroResult, ValueOrContainer};

use crate::replica::{Replica, Traffic};
use crate::workload::{Change, Operation, Product, Side, Tags, key, tag_name};

pub struct Loro {
    doc: LoroDoc,
}

impl Loro {
    fn product(&self, product: usize) -> LoroMap {
        map(&self.doc.get_map("products"), key(product))
    }

    fn change(&self, operation: Operation) {
        let product = self.product(operation.product);
        match operation.change {
            Change::Stock(delta) => counter(&product, "stock").increment(delta as f64),
            Change::Price(price) => product.insert("price", price),
            // Each key of a map is a last-writer register, so the later of a concurrent add and remove wins.
            Change::AddTag(tag) => map(&product, "tags").insert(tag_name(tag), true),
            Change::RemoveTag(tag) => map(&product, "tags").delete(tag_name(tag)),
        }
        .expect("the change is valid");
        self.doc.commit();
    }

    fn version(&self) -> Vec<u8> {
        self.doc.oplog_vv().encode()
    }

    fn updates(&self, since: &[u8]) -> Vec<u8> {
        let since = VersionVector::decode(since).expect("a valid version vector");
        self.doc
            .export(ExportMode::updates(&since))
            .expect("updates can be exported")
    }

    fn import(&self, updates: &[u8]) {
        self.doc.import(updates).expect("the updates apply");
    }
}

fn container(parent: &LoroMap, key: &str) -> Container {
    match parent.get(key) {
        Some(ValueOrContainer::Container(container)) => container,
        _ => panic!("no container {key}"),
    }
}

fn map(parent: &LoroMap, key: &str) -> LoroMap {
    container(parent, key).into_map().expect("a map")
}

fn counter(parent: &LoroMap, key: &str) -> LoroCounter {
    container(parent, key).into_counter().expect("a counter")
}

impl Replica for Loro {
    const SYSTEM: &str = "loro";
    const CRATE: &str = "loro";

    fn new(side: Side) -> Self {
        let doc = LoroDoc::new();
        doc.set_peer_id(side.id().into())
            .expect("an empty document");
        Loro { doc }
    }

    fn populate(&mut self, products: &[Product]) {
        let root = self.doc.get_map("products");
        let insert = |i: usize, product: &Product| -> LoroResult<()> {
            let object = root.insert_container(key(i), LoroMap::new())?;
            let stock = object.insert_container("stock", LoroCounter::new())?;
            stock.increment(product.stock as f64)?;
            object.insert("price", product.price)?;
            let tags = object.insert_container("tags", LoroMap::new())?;
            product
                .tags
                .iter()
                .try_for_each(|tag| tags.insert(tag_name(tag), true))
        };
        for (i, product) in products.iter().enumerate() {
            insert(i, product).expect("an empty document takes the products");
        }
        self.doc.commit();
    }

    fn apply(&mut self, operation: Operation) {
        self.change(operation);
    }

    fn apply_for_delta(&mut self, operation: Operation) -> Vec<u8> {
        let before = self.doc.oplog_vv();
        self.change(operation);
        self.doc
            .export(ExportMode::updates(&before))
            .expect("updates can be exported")
    }

    fn read(&self, product: usize) -> Product {
        let product = self.product(product);
        let price = product
            .get("price")
            .and_then(|price| price.into_value().ok());
        Product {
            stock: counter(&product, "stock").get() as i64,
            price: *price.expect("a value").as_i64().expect("an integer"),
            tags: Tags::from_names(map(&product, "tags").keys()),
        }
    }

    fn reconnect(edge: &mut Self, cloud: &mut Self) -> Traffic {
        let mut traffic = Traffic::default();

        let edge_has = edge.version();
        traffic.message(Side::Edge, &[&edge_has]);

        let (cloud_has, for_edge) = (cloud.version(), cloud.updates(&edge_has));
        traffic.message(Side::Cloud, &[&cloud_has, &for_edge]);
        edge.import(&for_edge);

        let for_cloud = edge.updates(&cloud_has);
        traffic.message(Side::Edge, &[&for_cloud]);
        cloud.import(&for_cloud);

        traffic
    }

    fn save(&mut self) -> Vec<u8> {
        self.doc
            .export(ExportMode::Snapshot)
            .expect("a snapshot can be exported")
    }

    fn load(blob: &[u8]) -> Self {
        Loro {
            doc: LoroDoc::from_snapshot(blob).expect("a valid snapshot"),
        }
    }
}
