//! The ground-truth bench in small: one of its worlds, large enough to decide whether what is paid is
//! closer to the truth than the baselines that need no retraining either.
//!
//! Counting the pairs of tokens that an answer shares with an example is no such baseline: on most of
//! these worlds, whose texts are made from patterns, it has the higher LDS, on some the truer shares
//! (`benches/results`, README). Nothing here says otherwise.

#[path = "../../../benches/attribution_truth/figures.rs"]
mod figures;
#[path = "../../../benches/attribution_truth/gradients.rs"]
mod gradients;
#[allow(dead_code, reason = "the bench uses more of it")]
#[path = "../../../benches/attribution_truth/real.rs"]
mod real;
#[allow(dead_code, reason = "the bench uses more of it")]
#[path = "../../../benches/attribution_truth/retrain.rs"]
mod retrain;
#[allow(dead_code, reason = "the bench uses more of it")]
#[path = "../../../benches/attribution_truth/study.rs"]
mod study;
#[path = "../../../benches/attribution_truth/sweep.rs"]
mod sweep;
#[allow(dead_code, reason = "the bench uses more of it")]
#[path = "../../../benches/attribution_truth/worlds.rs"]
mod worlds;

use retrain::{Effort, Recipe};
use study::{Plan, study};
use worlds::Size;

/// By how much shares are to be better than a baseline's: twice the standard error that 64 answers leave
/// of a difference of means, where answers differ by 0.4 (TV lies between 0 and 1, a top contributor is
/// right or not, and most answers agree). In three draws of this world shares were 0.15 to 0.25 (TV) and
/// 0.17 to 0.33 (top) better than DataInf's, and 0.40 and 0.70 better than equal ones.
const MARGIN: f64 = 0.10;

/// How much a mean TV may differ between kinds of processors, whose rounding each retraining
/// amplifies.
const NOISE: f64 = 0.02;

/// LDS against DataInf's, as the method promises it.
const LDS_GAIN: f64 = 1.3;

/// Eighty examples, retrained without each contributor with so many seeds, and on so many halves.
fn small_plan(queries: usize, subsets: usize, contributor_seeds: u64) -> Plan {
    Plan {
        size: Size {
            examples: 80,
            queries,
            seed: 5,
        },
        recipe: Recipe {
            epochs: 6,
            batch: 4,
            lr: 4e-3,
            warmup: 10,
            rank: 8,
        },
        effort: Effort {
            subsets,
            seeds: 1,
            contributor_seeds,
            seed: 5,
        },
        cache: None,
        real: None,
        sweep: None,
    }
}

#[test]
fn shares_are_truer_than_equal_ones_and_than_those_of_datainf() {
    let (_dir, base) = super::nano();
    let plan = small_plan(64, 10, 1);
    let report = study(&plan, &base, "bazaar", &mut |_| {});
    let figure = |method: &str, name: &str| report[method][name].as_f64().unwrap();
    assert_eq!(report["contributors"], 10);
    // One seed tells no answer's truth from noise, so all of them count.
    assert_eq!(report["told_apart"], 64);
    for baseline in ["static", "datainf"] {
        let (tv, top) = (figure(baseline, "tv"), figure(baseline, "top"));
        assert!(figure("ours", "tv") <= tv - MARGIN, "{baseline}: {report}");
        assert!(
            figure("ours", "top") >= top + MARGIN,
            "{baseline}: {report}"
        );
    }
    assert_eq!(figure("static", "lds"), 0.0);
    assert!(figure("ours", "lds") > 0.15, "{report}");
    let datainf = figure("datainf", "lds");
    assert!(figure("ours", "lds") > LDS_GAIN * datainf, "{report}");
}

/// Comments that people wrote, cut so that each contributor has the spam or the other comments of one
/// video.
#[test]
fn shares_of_real_comments_are_truer_than_equal_ones_and_than_those_of_datainf_and_pairs() {
    let (_dir, base) = super::nano();
    let plan = Plan {
        real: Some(crate::paths::repository().join("crates/influence/tests/data")),
        ..small_plan(28, 2, 2)
    };
    let report = study(&plan, &base, "youtube_spam", &mut |_| {});
    assert_eq!(report["contributors"], 10);
    let figure = |method: &str, name: &str| report[method]["all"][name].as_f64().unwrap();
    let (tv, top) = (figure("ours", "tv"), figure("ours", "top"));
    for baseline in ["static", "datainf"] {
        let theirs = figure(baseline, "tv");
        assert!(tv <= theirs - MARGIN, "{baseline}: {report}");
    }
    // The distances of shared pairs and of ours are within what processors' rounding changes; whom
    // the shares put first is not.
    assert!(tv <= figure("ngram", "tv") + NOISE, "{report}");
    for baseline in ["static", "datainf", "ngram"] {
        let theirs = figure(baseline, "top");
        assert!(top >= theirs + MARGIN, "{baseline}: {report}");
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
