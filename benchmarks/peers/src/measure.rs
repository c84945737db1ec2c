//! Runs the workload on one library and measures it.

use std::hint::black_box;
use std::time::Instant;

use serde::Serialize;

use crate::replica::Replica;
use crate::workload::{self, EXTRA_SEED, PRODUCTS, Product, Side, Solo, Verdict};

const EXTRA_OPERATIONS: usize = 100;

/// One line of output. Times are in seconds; `commit` figures are for one side, all others for both sides together.
#[derive(Serialize)]
pub struct Report {
    system: &'static str,
    version: &'static str,
    engine: &'static str,
    n: usize,
    commits_per_s: f64,
    commits_with_delta_per_s: f64,
    commit_cpu_s: f64,
    reconnect_wall_s: f64,
    reconnect_cpu_s: f64,
    bytes_edge_to_cloud: usize,
    bytes_cloud_to_edge: usize,
    round_trips: f64,
    nothing_new_bytes: usize,
    nothing_new_cpu_s: f64,
    hundred_more_bytes: usize,
    hundred_more_cpu_s: f64,
    peak_rss_mib: f64,
    open_s: f64,
    disk_bytes: usize,
    values_ok: bool,
    tags_mismatched: usize,
}

pub fn run<R: Replica>(n: usize) -> Report {
    let initial = workload::initial_products();
    let (mut edge, mut cloud) = connected_pair::<R>(&initial);
    let edge_solo = Solo::draw(&initial, workload::EDGE_SEED, n);
    let cloud_solo = Solo::draw(&initial, workload::CLOUD_SEED, n);

    let (commits, ()) = timed(|| {
        edge_solo.operations.iter().for_each(|&op| edge.apply(op));
        cloud_solo.operations.iter().for_each(|&op| cloud.apply(op));
    });
    let (reconnect, traffic) = timed(|| R::reconnect(&mut edge, &mut cloud));
    let verdict = judge(&initial, [&edge_solo, &cloud_solo], [&edge, &cloud]);

    let (nothing_new, nothing_new_traffic) = timed(|| R::reconnect(&mut edge, &mut cloud));

    let extra = Solo::draw(&read_all(&edge), EXTRA_SEED, EXTRA_OPERATIONS);
    extra.operations.iter().for_each(|&op| edge.apply(op));
    let (hundred_more, hundred_more_traffic) = timed(|| R::reconnect(&mut edge, &mut cloud));
    // Nothing was concurrent to these, so here all values are determined, tags included.
    let extra_ok = [&edge, &cloud]
        .iter()
        .all(|side| (0..PRODUCTS).all(|i| side.read(i) == extra.product(i)));

    // The peak of the workload itself: what follows is measured apart and would add to it.
    let peak_rss_mib = peak_rss_mib();

    let blob = edge.save();
    drop((edge, cloud));
    let (open, _) = timed(|| {
        let opened = R::load(&blob);
        black_box(opened.read(0));
        opened // Handed out, so that it is not taken down in the measured time.
    });

    let (mut edge, mut cloud) = connected_pair::<R>(&initial);
    let (commits_with_delta, ()) = timed(|| {
        for &op in &edge_solo.operations {
            black_box(edge.apply_for_delta(op));
        }
        for &op in &cloud_solo.operations {
            black_box(cloud.apply_for_delta(op));
        }
    });

    let both_sides = 2.0 * n as f64;
    Report {
        system: R::SYSTEM,
        version: pinned_version(R::CRATE),
        engine: "memory",
        n,
        commits_per_s: both_sides / commits.wall,
        commits_with_delta_per_s: both_sides / commits_with_delta.wall,
        commit_cpu_s: commits.cpu / 2.0,
        reconnect_wall_s: reconnect.wall,
        reconnect_cpu_s: reconnect.cpu,
        bytes_edge_to_cloud: traffic.edge_to_cloud,
        bytes_cloud_to_edge: traffic.cloud_to_edge,
        round_trips: traffic.round_trips(),
        nothing_new_bytes: nothing_new_traffic.bytes(),
        nothing_new_cpu_s: nothing_new.cpu,
        hundred_more_bytes: hundred_more_traffic.bytes(),
        hundred_more_cpu_s: hundred_more.cpu,
        peak_rss_mib,
        open_s: open.wall,
        disk_bytes: blob.len(),
        values_ok: verdict.values_ok && extra_ok,
        tags_mismatched: verdict.tags_mismatched,
    }
}

/// The initial state is built on the edge and reaches the cloud as it would in use: over the wire.
fn connected_pair<R: Replica>(initial: &[Product]) -> (R, R) {
    let (mut edge, mut cloud) = (R::new(Side::Edge), R::new(Side::Cloud));
    edge.populate(initial);
    R::reconnect(&mut edge, &mut cloud);
    (edge, cloud)
}

fn read_all<R: Replica>(replica: &R) -> Vec<Product> {
    (0..PRODUCTS).map(|i| replica.read(i)).collect()
}

fn judge<R: Replica>(initial: &[Product], solos: [&Solo; 2], replicas: [&R; 2]) -> Verdict {
    let [edge, cloud] = replicas.map(read_all);
    assert!(edge == cloud, "the replicas differ after the reconnect");
    workload::judge(initial, solos[0], solos[1], &edge)
}

/// The version that `Cargo.toml` pins, so that it stands in one place.
pub fn pinned_version(name: &str) -> &'static str {
    include_str!("../Cargo.toml")
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"="))
        .and_then(|rest| rest.strip_suffix('"'))
        .expect("Cargo.toml pins every peer")
}

struct Cost {
    wall: f64,
    cpu: f64,
}

fn timed<T>(work: impl FnOnce() -> T) -> (Cost, T) {
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    let result = work();
    let cost = Cost {
        cpu: cpu_seconds() - cpu,
        wall: wall.elapsed().as_secs_f64(),
    };
    (cost, result)
}

/// Of the whole process, so that a library's own threads count.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for the write, and nothing of it is kept.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(status, 0, "no clock of CPU time");
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse::<f64>().ok())
        .expect("/proc/self/status has VmHWM in kB");
    kib / 1024.0
}
