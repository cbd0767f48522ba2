//! How true attribution is: `cargo bench -p openlora-influence --bench attribution_truth -- [OPTIONS]`.
//!
//! Builds worlds of known structure, retrains on random halves and without each contributor, and
//! compares what that does to answers with what each method says. The retrainings are kept in
//! `--cache DIR`, so that methods can be compared again at once, and what they say beside them.
//! `--real DIR` adds worlds of texts that people wrote, from the sets in that folder. `--sweep` tries
//! other checkpoints, widths and dampings, `--sweep-pairs` only other uses of shared pairs.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a bench stops at the first surprise and says how far it is"
)]

#[allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]
#[path = "../../../../tests/support/paths.rs"]
mod paths;

mod figures;
mod gradients;
mod real;
mod retrain;
mod study;
mod sweep;
mod worlds;

use std::{fs, path::PathBuf};

use openlora_model::{BaseRequest, open_base};
use openlora_train::run::files;
use retrain::{Effort, Recipe};
use serde_json::json;
use study::{Plan, study};
use worlds::Size;

/// `--name value` of the command line.
fn option(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.next();
    arguments.next()
}

fn number(name: &str, default: usize) -> usize {
    option(name).map_or(default, |text| text.parse().expect("a number"))
}

fn main() {
    let seed = number("--seed", 20_260_131) as u64;
    let plan = Plan {
        size: Size {
            examples: number("--examples", 80),
            queries: number("--queries", 24),
            seed,
        },
        recipe: Recipe {
            epochs: number("--epochs", 8),
            batch: number("--batch", 4),
            lr: option("--lr").map_or(4e-3, |text| text.parse().expect("a number")),
            warmup: 10,
            rank: 8,
        },
        effort: Effort {
            subsets: number("--subsets", 64),
            seeds: number("--seeds", 2) as u64,
            contributor_seeds: number("--contributor-seeds", 3) as u64,
            seed,
        },
        cache: option("--cache").map(PathBuf::from),
        real: option("--real").map(PathBuf::from),
        sweep: sweep::SCOPES
            .into_iter()
            .find(|(flag, _)| std::env::args().any(|argument| argument == *flag))
            .map(|(_, scope)| scope),
    };
    let wanted = option("--world");
    let home = tempfile::tempdir().expect("a folder is made");
    let request = BaseRequest {
        id: "nano".into(),
        revision: "main".into(),
        endpoint: String::new(),
        models_dir: home.path().join("models"),
        nano_dir: home.path().join("nano"),
        token: None,
        offline: true,
    };
    let base = open_base(&request, &mut |_| {}).expect("the embedded base opens");
    let real = plan.real.is_some();
    let real = real::NAMES.into_iter().filter(|_| real);
    let chosen = worlds::NAMES
        .into_iter()
        .chain(real)
        .filter(|name| wanted.as_deref().is_none_or(|w| w == *name));
    let found: Vec<serde_json::Value> = chosen
        .map(|name| study(&plan, &base, name, &mut |line| eprintln!("{line}")))
        .collect();
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let report = json!({
        "command": format!("cargo bench -p openlora-influence --bench attribution_truth -- {}", arguments.join(" ")).trim(),
        "seed": seed,
        "commit": option("--commit").unwrap_or_else(commit),
        "epochs": plan.recipe.epochs,
        "batch": plan.recipe.batch,
        "lr": plan.recipe.lr,
        "examples": plan.size.examples,
        "queries": plan.size.queries,
        "subsets": plan.effort.subsets,
        "seeds": plan.effort.seeds,
        "contributor_seeds": plan.effort.contributor_seeds,
        "worlds": found,
    });
    let text = serde_json::to_string_pretty(&report).expect("a report becomes text") + "\n";
    eprint!("{text}");
    if let Some(out) = option("--out") {
        files::replace(&PathBuf::from(out), text.as_bytes()).expect("the report is written");
    }
}

/// The commit that is measured.
fn commit() -> String {
    let head = |name: &str| fs::read_to_string(paths::repository().join(".git").join(name));
    match head("HEAD") {
        Ok(text) => match text.trim().strip_prefix("ref: ") {
            Some(name) => head(name).unwrap_or_default().trim().to_owned(),
            None => text.trim().to_owned(),
        },
        Err(_) => String::new(),
    }
}
