//! How true the attribution of pictures is:
//! `cargo bench -p openlora-influence --bench attribution_truth_images -- [OPTIONS]`.
//!
//! Draws worlds of known structure, retrains on random halves and without each contributor, and
//! compares what that does to the loss of generated pictures with what each method says. Every training
//! is kept in `--cache DIR`, so an interrupted bench goes on where it was.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a bench stops at the first surprise and says how far it is"
)]

#[path = "../attribution_truth/figures.rs"]
mod figures;
mod gradients;
mod retrain;
mod study;
mod worlds;

use std::path::PathBuf;

use openlora_influence::PictureOutput;
use openlora_model::{BaseRequest, open_picture_base};
use openlora_train::{pictures::PictureModel, run::files};
use retrain::{Cache, Effort, Recipe};
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
    let seed = number("--seed", 20_261_130) as u64;
    let home = tempfile::tempdir().expect("a folder is made");
    let cache = option("--cache").map_or(home.path().join("cache"), PathBuf::from);
    std::fs::create_dir_all(&cache).expect("a folder is made");
    let plan = Plan {
        size: Size {
            examples: number("--examples", 96),
            queries: number("--queries", 24),
            seed,
        },
        recipe: Recipe {
            epochs: number("--epochs", 6),
            batch: number("--batch", 4),
            lr: option("--lr").map_or(4e-3, |text| text.parse().expect("a number")),
            warmup: 10,
            rank: 8,
        },
        effort: Effort {
            subsets: number("--subsets", 24),
            seeds: number("--seeds", 2) as u64,
            contributor_seeds: number("--contributor-seeds", 2) as u64,
            seed,
        },
        points: number("--points", 12),
        times: number("--times", 10),
        output: PictureOutput::Loss,
        cache: Cache(cache),
    };
    let wanted = option("--world");
    let request = BaseRequest {
        id: "pico".into(),
        revision: "main".into(),
        endpoint: String::new(),
        models_dir: home.path().join("models"),
        nano_dir: home.path().join("nano"),
        token: None,
        offline: true,
    };
    let opened = open_picture_base(&request, &mut |_| {}).expect("the embedded base opens");
    let base = PictureModel::load(&opened).expect("the embedded base loads");
    let chosen = worlds::NAMES
        .into_iter()
        .filter(|name| wanted.as_deref().is_none_or(|wanted| wanted == *name));
    let found: Vec<serde_json::Value> = chosen
        .map(|name| study(&plan, &base, name, &|line| eprintln!("{line}")))
        .collect();
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let report = json!({
        "command": format!(
            "cargo bench -p openlora-influence --bench attribution_truth_images -- {}",
            arguments.join(" ")
        ).trim(),
        "base": opened.digest,
        "seed": seed,
        "epochs": plan.recipe.epochs,
        "batch": plan.recipe.batch,
        "lr": plan.recipe.lr,
        "queries": plan.size.queries,
        "subsets": plan.effort.subsets,
        "seeds": plan.effort.seeds,
        "contributor_seeds": plan.effort.contributor_seeds,
        "points": plan.points,
        "times": plan.times,
        "output": plan.output,
        "worlds": found,
    });
    let text = serde_json::to_string_pretty(&report).expect("a report becomes text") + "\n";
    eprint!("{text}");
    if let Some(out) = option("--out") {
        files::replace(&PathBuf::from(out), text.as_bytes()).expect("the report is written");
    }
}
