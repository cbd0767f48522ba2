//! The ground-truth bench in small: its worlds, retrainings and figures work, and say that scores
//! know more than counts. How true they are is what the bench itself measures.

#[path = "../../../benches/attribution_truth/figures.rs"]
mod figures;
#[allow(dead_code, reason = "the bench uses more of it")]
#[path = "../../../benches/attribution_truth/retrain.rs"]
mod retrain;
#[allow(dead_code, reason = "the bench uses more of it")]
#[path = "../../../benches/attribution_truth/study.rs"]
mod study;
#[allow(dead_code, reason = "the bench uses more of it")]
#[path = "../../../benches/attribution_truth/worlds.rs"]
mod worlds;

use retrain::{Effort, Recipe};
use study::{Plan, study};
use worlds::Size;

#[test]
fn a_small_world_is_told_apart_from_counts() {
    let (_dir, base) = super::nano();
    let plan = Plan {
        size: Size {
            examples: 64,
            queries: 8,
            seed: 5,
        },
        recipe: Recipe {
            epochs: 3,
            batch: 8,
            lr: 2e-3,
            warmup: 2,
            rank: 4,
        },
        effort: Effort {
            subsets: 10,
            seeds: 2,
            contributor_seeds: 1,
            seed: 5,
        },
        cache: None,
        sweep: false,
    };
    let report = study(&plan, &base, "lighthouse", &mut |_| {});
    let figure = |method: &str, name: &str| report[method][name].as_f64().unwrap();
    assert_eq!(report["contributors"], 8);
    assert_eq!(figure("static", "lds"), 0.0);
    assert!(figure("ours", "lds") > 0.15, "{report}");
    assert!(figure("ours", "lds") > figure("ngram", "lds"), "{report}");
    // So few answers and retrainings say nothing of who gave most: the figures are there.
    for method in ["static", "ngram", "gradient", "datainf", "ours"] {
        for name in ["tv", "top"] {
            assert!((0.0..=1.0).contains(&figure(method, name)), "{report}");
        }
    }
}

#[test]
fn rank_correlation_and_shares_are_those_of_their_definitions() {
    assert_eq!(
        figures::spearman(&[1.0, 2.0, 3.0, 4.0], &[10.0, 20.0, 30.0, 40.0]),
        1.0
    );
    assert_eq!(
        figures::spearman(&[1.0, 2.0, 3.0, 4.0], &[4.0, 3.0, 2.0, 1.0]),
        -1.0
    );
    assert_eq!(figures::spearman(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), 0.0);
    // Ranks 1.5, 1.5, 3 against 1, 2, 3.
    let tied = figures::spearman(&[5.0, 5.0, 9.0], &[1.0, 2.0, 3.0]);
    assert!((tied - 0.75f64.sqrt()).abs() < 1e-12, "{tied}");
    assert_eq!(figures::normalised(vec![0.0, 0.0]), [0.5, 0.5]);
    assert_eq!(
        figures::shares(&[8.0, 0.0, 0.0, 0.0, 2.0], &[0, 1, 1, 1, 1], 2),
        [0.8, 0.2]
    );
}
