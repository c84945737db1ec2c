//! Runs the workload `retail-reconnect` on one peer library and prints what it cost as one line of JSON.

mod automerge;
mod loro;
mod measure;
mod replica;
mod workload;
mod yrs;

use std::process::ExitCode;

use measure::Report;
use replica::Replica;

const USAGE: &str = "usage: anabranch-peers --system NAME --n OPERATIONS | --list";

struct System {
    name: &'static str,
    version: &'static str,
    run: fn(usize) -> Report,
}

fn system<R: Replica>() -> System {
    System {
        name: R::SYSTEM,
        version: measure::pinned_version(R::CRATE),
        run: measure::run::<R>,
    }
}

fn systems() -> [System; 4] {
    [
        system::<automerge::Automerge>(),
        system::<yrs::Yrs<1>>(),
        system::<yrs::Yrs<2>>(),
        system::<loro::Loro>(),
    ]
}

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let arguments = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    match arguments[..] {
        ["--list"] => {
            for system in systems() {
                println!("{} {}", system.name, system.version);
            }
            ExitCode::SUCCESS
        }
        ["--system", name, "--n", n] | ["--n", n, "--system", name] => run(name, n),
        _ => fail(USAGE),
    }
}

fn run(name: &str, n: &str) -> ExitCode {
    let Some(system) = systems().into_iter().find(|system| system.name == name) else {
        return fail(&format!("no system {name:?}; --list names them"));
    };
    let Ok(n @ 1..) = n.parse() else {
        return fail(&format!("{n:?} is no positive number of operations"));
    };
    let report = (system.run)(n);
    let line = serde_json::to_string(&report).expect("a report is plain data");
    println!("{line}");
    ExitCode::SUCCESS
}

fn fail(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(2)
}
