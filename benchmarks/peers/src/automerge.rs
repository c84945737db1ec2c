//! Automerge: a counter, a register and a map of tags for each product, and its own sync protocol.

use automerge::sync::{Message, State, SyncDoc};
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ChangeHash, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};

use crate::replica::{Replica, Traffic};
use crate::workload::{Change, Operation, Product, Side, Tags, key, tag_name};

pub struct Automerge {
    doc: AutoCommit,
    /// What is known of the other side, kept encoded from one connection to the next.
    peer: Vec<u8>,
}

impl Automerge {
    fn object(&self, parent: &ObjId, key: &str) -> ObjId {
        let (_, id) = self
            .doc
            .get(parent, key)
            .expect("a valid parent")
            .expect("the key is there");
        id
    }

    fn integer(&self, product: &ObjId, key: &str) -> i64 {
        let (value, _) = self
            .doc
            .get(product, key)
            .expect("a valid product")
            .expect("the key is there");
        value.as_i64().expect("an integer")
    }

    /// Nothing is committed when the operation changes nothing.
    fn change(&mut self, operation: Operation) -> Option<ChangeHash> {
        let product = self.object(&ROOT, key(operation.product));
        match operation.change {
            Change::Stock(delta) => self.doc.increment(product, "stock", delta),
            Change::Price(price) => self.doc.put(product, "price", price),
            // A put of the value that is there already is dropped, so a second add loses to a concurrent remove.
            Change::AddTag(tag) => {
                let tags = self.object(&product, "tags");
                self.doc.put(tags, tag_name(tag), true)
            }
            Change::RemoveTag(tag) => {
                let tags = self.object(&product, "tags");
                self.doc.delete(tags, tag_name(tag))
            }
        }
        .expect("the change is valid");
        self.doc.commit()
    }

    fn generate(&mut self, state: &mut State) -> Option<Vec<u8>> {
        let message = self.doc.sync().generate_sync_message(state);
        message.map(Message::encode)
    }

    fn receive(&mut self, state: &mut State, message: &[u8]) {
        let message = Message::decode(message).expect("a valid message");
        self.doc
            .sync()
            .receive_sync_message(state, message)
            .expect("the message applies");
    }
}

impl Replica for Automerge {
    const SYSTEM: &str = "automerge";
    const CRATE: &str = "automerge";

    fn new(side: Side) -> Self {
        Automerge {
            // As long as the random ones.
            doc: AutoCommit::new().with_actor(ActorId::from([side.id(); 16])),
            peer: State::new().encode(),
        }
    }

    fn populate(&mut self, products: &[Product]) {
        let fill = |doc: &mut AutoCommit| {
            for (i, product) in products.iter().enumerate() {
                let object = doc.put_object(ROOT, key(i), ObjType::Map)?;
                doc.put(&object, "stock", ScalarValue::counter(product.stock))?;
                doc.put(&object, "price", product.price)?;
                let tags = doc.put_object(&object, "tags", ObjType::Map)?;
                for tag in product.tags.iter() {
                    doc.put(&tags, tag_name(tag), true)?;
                }
            }
            Ok::<_, automerge::AutomergeError>(())
        };
        fill(&mut self.doc).expect("an empty document takes the products");
        self.doc.commit();
    }

    fn apply(&mut self, operation: Operation) {
        self.change(operation);
    }

    fn apply_for_delta(&mut self, operation: Operation) -> Vec<u8> {
        let change = self
            .change(operation)
            .and_then(|hash| self.doc.get_change_by_hash(&hash));
        change.map_or_else(Vec::new, |change| change.raw_bytes().to_vec())
    }

    fn read(&self, product: usize) -> Product {
        let product = self.object(&ROOT, key(product));
        let tags = self.object(&product, "tags");
        Product {
            stock: self.integer(&product, "stock"),
            price: self.integer(&product, "price"),
            tags: Tags::from_names(self.doc.keys(tags)),
        }
    }

    fn reconnect(edge: &mut Self, cloud: &mut Self) -> Traffic {
        let mut traffic = Traffic::default();
        let mut edge_state = State::decode(&edge.peer).expect("as encoded");
        let mut cloud_state = State::decode(&cloud.peer).expect("as encoded");
        loop {
            let to_cloud = edge.generate(&mut edge_state);
            if let Some(message) = &to_cloud {
                traffic.message(Side::Edge, &[message]);
                cloud.receive(&mut cloud_state, message);
            }
            let to_edge = cloud.generate(&mut cloud_state);
            if let Some(message) = &to_edge {
                traffic.message(Side::Cloud, &[message]);
                edge.receive(&mut edge_state, message);
            }
            if to_cloud.is_none() && to_edge.is_none() {
                break;
            }
        }
        edge.peer = edge_state.encode();
        cloud.peer = cloud_state.encode();
        traffic
    }

    fn save(&mut self) -> Vec<u8> {
        self.doc.save()
    }

    fn load(blob: &[u8]) -> Self {
        Automerge {
            doc: AutoCommit::load(blob).expect("a valid document"),
            peer: State::new().encode(),
        }
    }
}
