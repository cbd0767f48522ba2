//! Shared pairs of tokens: counted by their definition, kept with the sketch, refused when foreign.

use std::collections::BTreeSet;

use openlora_attribution::{
    AttributionIndex,
    queue::CallTokens,
    shares::{CLIP, Contributor, ShareFallback, noise},
};
use openlora_influence::{ContributorIndex, GradientSketch, IndexDraft, IndexFile, PairOverlap};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{index_of, random_draft, written};

fn pairs(ids: &[u32]) -> BTreeSet<[u32; 2]> {
    ids.windows(2).map(|pair| [pair[0], pair[1]]).collect()
}

/// Of every original, the square root of the sum of one divided by the number of originals with the
/// pair, relative to the largest.
fn by_definition(documents: &[Vec<u32>], clusters: &[u32], answer: &[u32]) -> Vec<f64> {
    let held: Vec<BTreeSet<[u32; 2]>> = (0u32..)
        .zip(documents.iter().zip(clusters))
        .map(|(at, (document, cluster))| match *cluster == at {
            true => pairs(document),
            false => BTreeSet::new(),
        })
        .collect();
    let holders = |pair: &[u32; 2]| held.iter().filter(|held| held.contains(pair)).count() as f64;
    let asked = pairs(answer);
    let sum =
        |held: &BTreeSet<[u32; 2]>| held.intersection(&asked).map(|it| 1.0 / holders(it)).sum();
    let sums: Vec<f64> = held.iter().map(sum).collect();
    let most = sums.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    sums.into_iter().map(|sum| (sum / most).sqrt()).collect()
}

fn documents() -> impl Strategy<Value = (Vec<Vec<u32>>, Vec<u32>, Vec<u32>)> {
    let document = || prop::collection::vec(0u32..9, 1..20);
    (prop::collection::vec(document(), 1..12), document()).prop_flat_map(|(documents, answer)| {
        let copies = prop::collection::vec(any::<bool>(), documents.len());
        (Just(documents), copies, Just(answer)).prop_map(|(documents, copies, answer)| {
            // A copy follows the first document.
            let cluster = |(at, copy): (usize, bool)| if copy { 0 } else { at as u32 };
            let clusters = copies.into_iter().enumerate().map(cluster).collect();
            (documents, clusters, answer)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pairs_count_by_their_rarity_among_originals((documents, clusters, answer) in documents()) {
        let (_dir, index) = index_of(&documents, &clusters);
        let found = index.pairs(&[], &answer);
        let mut weights = vec![0.0; documents.len()];
        for (example, weight) in found.weights() {
            weights[*example as usize] = f64::from(*weight) / f64::from(PairOverlap::WHOLE);
        }
        let expected = by_definition(&documents, &clusters, &answer);
        for (found, expected) in weights.iter().zip(&expected) {
            prop_assert!((found - expected).abs() < 1e-4, "{weights:?} is not {expected:?}");
        }
        prop_assert_eq!(&PairOverlap::from_bytes(&found.to_bytes()).unwrap(), &found);
    }

    /// Shared pairs move no example over the threshold of the noise, and leave the noise as it is.
    #[test]
    fn weighing_changes_only_what_exceeds_the_noise(
        (documents, clusters, answer) in documents(), seed in any::<i64>(),
    ) {
        let (_dir, index) = index_of(&documents, &clusters);
        let scores: Vec<i128> = (0..documents.len() as i128)
            .map(|at| (i128::from(seed) * (at + 1) % 1_000_003) << 60)
            .collect();
        let mut weighed = scores.clone();
        index.weigh(&index.pairs(&[], &answer), &mut weighed).unwrap();
        let noise_of = |scores: &[i128]| {
            let firsts = clusters.iter().enumerate().zip(scores);
            let firsts = firsts.filter(|((at, cluster), _)| *at == **cluster as usize);
            noise(firsts.map(|(_, score)| *score))
        };
        let threshold = (CLIP * noise_of(&scores)) as i128;
        prop_assert_eq!(noise_of(&weighed), noise_of(&scores));
        for (before, after) in scores.iter().zip(&weighed) {
            prop_assert_eq!(before.signum(), after.signum());
            prop_assert!(after.unsigned_abs() <= before.unsigned_abs());
            match *before > threshold {
                true => prop_assert!(*after >= threshold),
                false => prop_assert_eq!(after, before),
            }
        }
    }
}

#[test]
fn what_an_answer_repeats_from_its_prompt_does_not_count() {
    let (_dir, index) = index_of(&[(1..9).collect(), (11..19).collect()], &[0, 1]);
    let answer: Vec<u32> = (1..9).chain([11, 12]).collect();
    let listed = |prompt: &[u32]| index.pairs(prompt, &answer).weights().to_vec();
    assert_eq!(listed(&[]), [(0, 65_535), (1, 24_769)]);
    assert_eq!(listed(&(1..9).collect::<Vec<u32>>()), [(1, 65_535)]);
}

#[test]
fn damaged_lists_are_refused() {
    let good = [1, 3, 0, 0, 0, 9, 0, 4, 0, 0, 0, 7, 0];
    assert_eq!(
        PairOverlap::from_bytes(&good).unwrap().weights(),
        [(3, 9), (4, 7)]
    );
    let mut unsorted = good;
    unsorted[1] = 4;
    for bad in [&good[..0], &good[..6], &[2], &unsorted] {
        assert!(PairOverlap::from_bytes(bad).is_err(), "{bad:?}");
    }
    let beyond = PairOverlap::from_bytes(&good).unwrap();
    let refused = beyond.weigh(&mut [1; 4], 0).unwrap_err().to_string();
    assert_eq!(
        refused,
        "a sketch has shared pairs with example 4, the index 4 examples"
    );
}

fn opened(draft: &IndexDraft) -> (TempDir, ContributorIndex) {
    let (dir, index) = written(draft);
    (
        dir,
        ContributorIndex::new(index, None, &mut Vec::<Contributor>::new()),
    )
}

#[test]
fn an_earlier_index_scores_as_before_and_each_refuses_the_others_sketches() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut draft = random_draft(4, 2, [1, 64]);
    let (dir, plain) = opened(&draft);
    let gradient = GradientSketch::quantise(&[vec![0.5; 64]]);
    let raw = IndexFile::open(&dir.path().join("index.bin"))
        .unwrap()
        .scores(&gradient)
        .unwrap();
    let early = STANDARD.encode(gradient.to_bytes());
    assert_eq!(plain.scores(&early).unwrap(), raw);
    draft.binding.parameters.pairs = Some(1);
    let (_dir, paired) = opened(&draft);
    let listed = PairOverlap::from_bytes(&[1, 2, 0, 0, 0, 255, 255]).unwrap();
    let late = format!("{early}.{}", STANDARD.encode(listed.to_bytes()));
    let mut weighed = raw.clone();
    let noise = noise(raw.iter().copied());
    listed.weigh(&mut weighed, noise).unwrap();
    assert_eq!(paired.scores(&late).unwrap(), weighed);
    for (index, sketch) in [(&plain, &late), (&paired, &early)] {
        assert_eq!(index.scores(sketch), Err(ShareFallback::Mismatch));
    }
    draft.binding.parameters.pairs = Some(2);
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("index.bin");
    std::fs::write(&path, draft.encode()).unwrap();
    let refused = IndexFile::open(&path).err().unwrap().to_string();
    assert!(
        refused.ends_with("its pairs of tokens are of version 2; this program reads 1"),
        "{refused}"
    );
    // Without a base there is nothing to make a sketch with.
    assert_eq!(
        paired.sketch(&CallTokens::default()),
        Err(ShareFallback::SketchFailed)
    );
}
