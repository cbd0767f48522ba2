//! From scores to shares: the properties that everybody may rely on, and what attacks gain.

use openlora_attribution::shares::{
    ClusterExample, Contributor, ShareEvidence, ShareFallback, ShareOutcome, ShareTable,
    SharedSpan, WHOLE, credits, divide_call, noise, provisional,
};
use openlora_core::Address;
use openlora_influence::{Curvature, DAMPING, PairOverlap, limit, precondition};
use openlora_ledger::fallback_reason;
use proptest::prelude::*;

const EVENT: [u8; 32] = [7; 32];

fn address(number: u8) -> Address {
    Address([number; 20])
}

fn party(number: u8, static_ppm: u64) -> Contributor {
    Contributor {
        name: format!("party {number}"),
        address: Some(address(number)),
        owner: None,
        static_ppm,
    }
}

/// A made-up call.
#[derive(Clone, Debug)]
struct World {
    parties: Vec<Contributor>,
    examples: Vec<ClusterExample>,
    scores: Vec<i128>,
    spans: Vec<SharedSpan>,
    answer_tokens: u32,
    payer: Option<Address>,
}

impl World {
    fn settled(&self) -> ShareOutcome {
        let table = ShareTable {
            event: EVENT,
            contributors: &self.parties,
            payer: self.payer,
        };
        let evidence = ShareEvidence {
            examples: &self.examples,
            scores: &self.scores,
            spans: &self.spans,
            answer_tokens: self.answer_tokens,
        };
        divide_call(&table, Ok(&evidence))
    }

    /// Millionths of an account.
    fn of(&self, settled: &ShareOutcome, account: Address) -> u32 {
        let theirs = settled.shares.iter();
        let theirs =
            theirs.filter(|share| self.parties[share.contributor].address == Some(account));
        theirs.map(|share| share.ppm).sum()
    }

    fn part(&self, account: Address) -> u32 {
        self.of(&self.settled(), account)
    }
}

/// Scores as they come: many around zero, some far out, some at the end of what fits.
fn score() -> impl Strategy<Value = i128> {
    prop_oneof![
        8 => -1_000_i128..1_000,
        3 => -1_000_000_i128..1_000_000,
        1 => Just(0),
        1 => -(1_i128 << 90)..=(1_i128 << 90),
    ]
}

fn world() -> impl Strategy<Value = World> {
    (1_usize..6, 0_usize..60, 1_u32..40).prop_flat_map(|(parties, examples, tokens)| {
        let parties = prop::collection::vec(0_u64..1_000_000, parties);
        (parties, Just(examples), Just(tokens)).prop_flat_map(|(statics, count, tokens)| {
            let owners = statics.len() as u32;
            let example = (0..owners, score());
            let spans = prop::collection::vec(
                (
                    0..tokens,
                    1..tokens + 1,
                    prop::collection::vec(0..count.max(1) as u32, 1..5),
                ),
                0..4,
            );
            let examples = prop::collection::vec(example, count);
            let payer = prop::option::of(0_u8..owners as u8 + 1);
            (examples, spans, payer).prop_map(move |(examples, spans, payer)| World {
                parties: statics
                    .iter()
                    .enumerate()
                    .map(|(at, ppm)| party(at as u8, *ppm))
                    .collect(),
                examples: examples
                    .iter()
                    .enumerate()
                    .map(|(at, (party, _))| ClusterExample {
                        contributor: *party,
                        cluster: at as u32,
                    })
                    .collect(),
                scores: examples.iter().map(|(_, score)| *score).collect(),
                spans: spans
                    .into_iter()
                    .filter(|_| count > 0)
                    .map(|(start, tokens, examples)| SharedSpan {
                        start,
                        tokens,
                        documents: examples.len() as u32,
                        examples,
                    })
                    .collect(),
                answer_tokens: tokens,
                payer: payer.map(address),
            })
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_sum_is_exact_for_any_input(world in world()) {
        let settled = world.settled();
        let sum: u64 = settled.shares.iter().map(|share| u64::from(share.ppm)).sum();
        prop_assert_eq!(sum, WHOLE);
        prop_assert!(settled.confidence_ppm <= WHOLE as u32);
        prop_assert!(settled.evidence_ppm <= WHOLE as u32);
        prop_assert!(settled.trace_ppm <= 500_000);
        prop_assert_eq!(settled.clone(), world.settled());
    }

    #[test]
    fn the_order_of_examples_and_parties_does_not_matter(world in world(), seed in any::<u64>()) {
        let mut order: Vec<usize> = (0..world.examples.len()).collect();
        order.sort_by_key(|at| seed.rotate_left(*at as u32 % 64).wrapping_mul(*at as u64 + 1));
        let mut moved = world.clone();
        moved.parties.reverse();
        let last = world.parties.len() as u32 - 1;
        moved.examples = order.iter().map(|at| {
            let example = world.examples[*at];
            ClusterExample { contributor: last - example.contributor, ..example }
        }).collect();
        moved.scores = order.iter().map(|at| world.scores[*at]).collect();
        for span in &mut moved.spans {
            for example in &mut span.examples {
                *example = order.iter().position(|at| *at == *example as usize).unwrap() as u32;
            }
        }
        for party in &world.parties {
            let account = party.address.unwrap();
            prop_assert_eq!(world.part(account), moved.part(account));
        }
        let (before, after) = (world.settled(), moved.settled());
        prop_assert_eq!(before.fallback, after.fallback);
        prop_assert_eq!(before.confidence_ppm, after.confidence_ppm);
    }

    #[test]
    fn a_null_player_gets_nothing(world in world(), scores in prop::collection::vec(-5_000_i128..=0, 1..8)) {
        let mut with = world.clone();
        with.payer = None;
        with.parties.push(party(200, 0));
        let null = with.parties.len() as u32 - 1;
        for score in scores {
            let cluster = with.examples.len() as u32 + 10_000;
            with.examples.push(ClusterExample { contributor: null, cluster });
            with.scores.push(score);
        }
        let settled = with.settled();
        // Where nobody has anything coming, everybody has the same.
        prop_assume!(world.parties.iter().any(|it| it.static_ppm > 0));
        prop_assert_eq!(with.of(&settled, address(200)), 0);
    }

    #[test]
    fn copies_earn_the_copier_nothing_and_cost_the_original_nothing(
        world in world(), picks in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        prop_assume!(!world.examples.is_empty());
        let mut with = world.clone();
        with.parties.push(party(200, 0));
        let copier = with.parties.len() as u32 - 1;
        let mut before = world.clone();
        before.parties.push(party(200, 0));
        for pick in picks {
            let original = pick.index(world.examples.len());
            let copy = with.examples.len() as u32;
            with.examples.push(ClusterExample { contributor: copier, cluster: world.examples[original].cluster });
            with.scores.push(world.scores[original]);
            for span in &mut with.spans {
                if span.examples.contains(&(original as u32)) {
                    span.examples.push(copy);
                    span.documents += 1;
                }
            }
        }
        let (one, other) = (before.settled(), with.settled());
        prop_assert_eq!(&one.shares, &other.shares);
        prop_assert_eq!(one.evidence_ppm, other.evidence_ppm);
    }

    #[test]
    fn names_of_one_owner_change_nothing(world in world()) {
        let mut one = world.clone();
        one.payer = None;
        let mut split = one.clone();
        // Every second example of the first owner stands under another name of the same owner.
        split.parties.push(Contributor { name: "alias".into(), static_ppm: 0, ..party(0, 0) });
        let alias = split.parties.len() as u32 - 1;
        let mut turn = false;
        for example in split.examples.iter_mut().filter(|it| it.contributor == 0) {
            turn = !turn;
            if turn {
                example.contributor = alias;
            }
        }
        prop_assert_eq!(one.settled().shares, split.settled().shares);
    }

    #[test]
    fn an_owner_that_becomes_two_gains_nothing(world in world(), parts in 0_u64..=4) {
        let mut one = world.clone();
        one.payer = None;
        let mut split = one.clone();
        let whole = one.parties[0].static_ppm;
        split.parties[0].static_ppm = whole * parts / 4;
        split.parties.push(party(201, whole - whole * parts / 4));
        let second = split.parties.len() as u32 - 1;
        let mut turn = false;
        for example in split.examples.iter_mut().filter(|it| it.contributor == 0) {
            turn = !turn;
            if turn {
                example.contributor = second;
            }
        }
        // Equal parts where nobody has any go by owner.
        prop_assume!(one.parties.iter().any(|it| it.static_ppm > 0));
        let before = i64::from(one.part(address(0)));
        let after = i64::from(split.part(address(0))) + i64::from(split.part(address(201)));
        // One micro-unit of rounding for each of the two.
        prop_assert!((before - after).abs() <= 2, "{before} became {after}");
        let (a, b) = (one.settled(), split.settled());
        prop_assert_eq!(a.evidence_ppm, b.evidence_ppm);
        prop_assert_eq!(a.trace_ppm, b.trace_ppm);
    }

    #[test]
    fn raising_a_positive_score_never_costs_its_owner(
        world in world(), pick in any::<prop::sample::Index>(), more in 1_i128..1_000_000,
    ) {
        prop_assume!(!world.examples.is_empty());
        let mut one = world.clone();
        one.spans.clear();
        one.payer = None;
        // The score counts: it stands out of the noise.
        let found = credits(&one.examples, &one.scores).unwrap().originals;
        let counting: Vec<usize> = (0..found.len()).filter(|at| found[*at].credit > 0).collect();
        prop_assume!(!counting.is_empty());
        let at = counting[pick.index(counting.len())];
        prop_assume!(one.scores[at] < 1 << 89);
        let mut raised = one.clone();
        raised.scores[at] += more;
        let credit = |world: &World| {
            let credits = credits(&world.examples, &world.scores).unwrap();
            let own = credits.originals[at];
            let part = own.credit as f64 / credits.total() as f64;
            (own.excess, credits.originals.iter().map(|it| it.excess).sum::<u128>() - own.excess, part)
        };
        let ((before, others, part), (after, still, larger)) = (credit(&one), credit(&raised));
        prop_assert_eq!(after, before + more as u128);
        prop_assert_eq!(others, still);
        // Both are rounded to 47 bits.
        prop_assert!(larger >= part - 1e-12, "{part} became {larger}");
        prop_assert_eq!(
            noise(one.scores.iter().copied()), noise(raised.scores.iter().copied())
        );
    }

    #[test]
    fn whoever_pays_earns_nothing_while_others_are_there(world in world()) {
        // Whoever has no static share has copies alone and is nobody who could take the payer's part.
        prop_assume!(world.parties.iter().filter(|it| it.static_ppm > 0).count() > 1);
        for party in &world.parties {
            let mut paid = world.clone();
            paid.payer = party.address;
            prop_assert_eq!(paid.part(party.address.unwrap()), 0);
            // Nor through somebody who is paid in the name of the same owner.
            let mut behind = paid.clone();
            behind.parties.push(Contributor { owner: party.address, ..self::party(202, 500_000) });
            behind.examples.push(ClusterExample { contributor: behind.parties.len() as u32 - 1, cluster: 9_999 });
            behind.scores.push(1 << 60);
            prop_assert_eq!(behind.part(address(202)), 0);
        }
    }
}

fn few() -> World {
    let examples: Vec<ClusterExample> = (0..40)
        .map(|at| ClusterExample {
            contributor: at % 4,
            cluster: at,
        })
        .collect();
    let mut scores: Vec<i128> = (0..40).map(|at| (at % 7) - 3).collect();
    scores[1] = 500;
    scores[5] = 400;
    scores[2] = 300;
    World {
        parties: (0..4).map(|at| party(at, 250_000)).collect(),
        examples,
        scores,
        spans: Vec::new(),
        answer_tokens: 10,
        payer: None,
    }
}

#[test]
fn what_stands_out_is_paid() {
    let settled = few().settled();
    // Noise 2: credit begins at 6, so the three have the squares of 494, 394 and 294.
    assert_eq!(settled.fallback, None);
    assert_eq!(settled.examples, [(1, 502_433), (5, 319_607), (2, 177_958)]);
    assert_eq!(settled.confidence_ppm, 744_205);
    let evidence = u64::from(settled.evidence_ppm);
    let of = |account: u8, part: u64| {
        let exact = evidence * part / 485_708 + (WHOLE - evidence) / 4;
        let found = u64::from(few().of(&settled, address(account)));
        assert!(found.abs_diff(exact) <= 1, "{account}: {found}, {exact}");
    };
    of(0, 0);
    of(1, 494 * 494 + 394 * 394);
    of(2, 294 * 294);
    of(3, 0);
}

#[test]
fn every_reason_to_fall_back_gives_the_static_shares() {
    let parties = [party(1, 700_000), party(2, 200_000), party(3, 100_000)];
    let table = ShareTable {
        event: EVENT,
        contributors: &parties,
        payer: None,
    };
    let is_static = |settled: &ShareOutcome, reason: ShareFallback| {
        assert_eq!(settled.fallback, Some(reason));
        // People read a clause instead of its name.
        assert_ne!(fallback_reason(reason.word()), reason.word());
        let shares: Vec<u32> = settled.shares.iter().map(|share| share.ppm).collect();
        assert_eq!(shares, [700_000, 200_000, 100_000]);
        assert_eq!((settled.evidence_ppm, settled.trace_ppm), (0, 0));
    };
    for reason in [
        ShareFallback::MissingIndex,
        ShareFallback::StaleIndex,
        ShareFallback::EmptyAnswer,
        ShareFallback::Interrupted,
        ShareFallback::NoTokens,
        ShareFallback::NotANumber,
        ShareFallback::SketchFailed,
    ] {
        is_static(&divide_call(&table, Err(reason)), reason);
    }
    let examples = [
        ClusterExample {
            contributor: 0,
            cluster: 0,
        },
        ClusterExample {
            contributor: 1,
            cluster: 1,
        },
    ];
    let found = |scores: &[i128], examples: &[ClusterExample]| {
        let evidence = ShareEvidence {
            examples,
            scores,
            spans: &[],
            answer_tokens: 3,
        };
        divide_call(&table, Ok(&evidence))
    };
    is_static(&found(&[1], &examples), ShareFallback::Mismatch);
    is_static(
        &found(&[1, i128::MAX], &examples),
        ShareFallback::OutOfRange,
    );
    is_static(
        &found(&[1, i128::MIN], &examples),
        ShareFallback::OutOfRange,
    );
    is_static(
        &found(&[-1, -9], &examples),
        ShareFallback::NoSurvivingScore,
    );
    is_static(&found(&[0, 0], &examples), ShareFallback::NoSurvivingScore);
    is_static(&found(&[], &[]), ShareFallback::NoSurvivingScore);
    let unknown = [ClusterExample {
        contributor: 3,
        cluster: 0,
    }];
    is_static(&found(&[9], &unknown), ShareFallback::Mismatch);
    // Evidence for the payer alone.
    let bought = ShareTable {
        payer: Some(address(1)),
        ..table
    };
    let evidence = ShareEvidence {
        examples: &examples,
        scores: &[9, 0],
        spans: &[],
        answer_tokens: 3,
    };
    let settled = divide_call(&bought, Ok(&evidence));
    assert_eq!(settled.fallback, Some(ShareFallback::SelfDealing));
    let shares: Vec<(usize, u32)> = settled
        .shares
        .iter()
        .map(|it| (it.contributor, it.ppm))
        .collect();
    assert_eq!(shares, [(1, 666_667), (2, 333_333)]);
}

#[test]
fn a_copier_takes_no_part_in_the_place_of_a_payer() {
    // All there is of the second party repeats the first one's examples.
    let parties = [party(1, 1_000_000), party(2, 0)];
    let examples = [0, 0, 1, 1].map(|party| ClusterExample {
        contributor: party,
        cluster: 0,
    });
    let examples: Vec<ClusterExample> = (0..4_u32)
        .map(|at| ClusterExample {
            cluster: at % 2,
            ..examples[at as usize]
        })
        .collect();
    for payer in [None, Some(address(1)), Some(address(2)), Some(address(9))] {
        let table = ShareTable {
            event: EVENT,
            contributors: &parties,
            payer,
        };
        let evidence = ShareEvidence {
            examples: &examples,
            scores: &[900, 1, 900, 1],
            spans: &[],
            answer_tokens: 3,
        };
        for settled in [
            divide_call(&table, Ok(&evidence)),
            divide_call(&table, Err(ShareFallback::MissingIndex)),
        ] {
            let shares: Vec<(usize, u32)> = settled
                .shares
                .iter()
                .map(|it| (it.contributor, it.ppm))
                .collect();
            assert_eq!(shares, [(0, 1_000_000)], "{payer:?}");
        }
    }
}

#[test]
fn nobody_one_and_ten_thousand_contributors() {
    let evidence = ShareEvidence {
        examples: &[],
        scores: &[],
        spans: &[],
        answer_tokens: 0,
    };
    let shares = |parties: &[Contributor], evidence: Result<&ShareEvidence<'_>, ShareFallback>| {
        let table = ShareTable {
            event: EVENT,
            contributors: parties,
            payer: None,
        };
        divide_call(&table, evidence).shares
    };
    assert_eq!(shares(&[], Ok(&evidence)), []);
    let alone = shares(&[party(1, 0)], Ok(&evidence));
    assert_eq!((alone.len(), alone[0].ppm), (1, 1_000_000));
    let many: Vec<Contributor> = (0..10_000_u32)
        .map(|at| Contributor {
            name: at.to_string(),
            address: None,
            owner: None,
            static_ppm: 3,
        })
        .collect();
    let all = shares(&many, Ok(&evidence));
    assert_eq!(all.len(), 10_000);
    assert!(all.iter().all(|share| share.ppm == 100));
    let examples: Vec<ClusterExample> = (0..10_000)
        .map(|at| ClusterExample {
            contributor: at,
            cluster: at,
        })
        .collect();
    let scores: Vec<i128> = (0..10_000)
        .map(|at| i128::from(at == 77) * 1_000 + 1)
        .collect();
    let evidence = ShareEvidence {
        examples: &examples,
        scores: &scores,
        ..evidence
    };
    let sum: u32 = shares(&many, Ok(&evidence)).iter().map(|it| it.ppm).sum();
    assert_eq!(sum, 1_000_000);
}

#[test]
fn spans_pay_by_rarity_and_only_who_has_influence() {
    let mut world = few();
    let plain = world.settled();
    // A phrase of the third owner's example that counted, a rare one.
    world.spans = vec![SharedSpan {
        start: 0,
        tokens: 8,
        documents: 1,
        examples: vec![2],
    }];
    let traced = world.settled();
    assert_eq!(traced.trace_ppm, 400_000);
    assert!(world.of(&traced, address(2)) > world.of(&plain, address(2)));
    // Too short, or of an example without influence: as if it were not there.
    world.spans[0].tokens = 5;
    assert_eq!(world.settled(), plain);
    world.spans[0] = SharedSpan {
        start: 0,
        tokens: 8,
        documents: 1,
        examples: vec![3],
    };
    assert_eq!(world.settled(), plain);
    // Before anything is scored a span counts for whoever has it.
    let table = ShareTable {
        event: EVENT,
        contributors: &world.parties,
        payer: None,
    };
    let (shares, covered) = provisional(&table, &world.examples, &world.spans, 10);
    assert_eq!(covered, 800_000);
    let parts: Vec<u32> = shares.iter().map(|share| share.ppm).collect();
    assert_eq!(parts, [50_000, 50_000, 50_000, 850_000]);
    let (shares, covered) = provisional(&table, &world.examples, &[], 10);
    assert_eq!((shares.len(), covered), (4, 0));
}

/// Numbers that look random and are the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let mixed = self.0 ^ (self.0 >> 29);
        mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11
    }

    fn unit(&mut self) -> f64 {
        self.next() as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f32 {
        ((0..12).map(|_| self.unit()).sum::<f64>() - 6.0) as f32
    }
}

const OWNERS: usize = 10;
const EACH: usize = 40;
const COUNT: usize = OWNERS * EACH;
/// Values of a gradient.
const DIMENSIONS: usize = 64;
/// What answers are about; a tenth of everybody's examples is about each.
const TOPICS: usize = 10;
const QUERIES: usize = 120;
/// The attacker's examples that are made up: a twentieth.
const MADE_UP: usize = EACH / 20;

/// Gradients of a training set and of answers, each near its topic's direction.
struct Gradients {
    examples: Vec<f32>,
    queries: Vec<Vec<f32>>,
}

impl Gradients {
    fn new() -> Self {
        let mut random = Random(11);
        let mut noisy = |topic: usize| -> Vec<f32> {
            let mut row: Vec<f32> = (0..DIMENSIONS).map(|_| random.normal() / 8.0).collect();
            row[topic] += 1.0;
            row
        };
        Self {
            examples: (0..COUNT).flat_map(|at| noisy(at % TOPICS)).collect(),
            queries: (0..QUERIES).map(|at| noisy(at % TOPICS)).collect(),
        }
    }

    fn made_up(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.examples.chunks_mut(DIMENSIONS).take(MADE_UP)
    }

    /// `[queries][examples]`
    fn scores(&self, rows: &[f32]) -> Vec<Vec<f64>> {
        let score = |query: &Vec<f32>, row: &[f32]| -> f64 {
            let products = query.iter().zip(row);
            products.map(|(q, u)| f64::from(*q) * f64::from(*u)).sum()
        };
        let of = |query| {
            rows.chunks(DIMENSIONS)
                .map(|row| score(query, row))
                .collect()
        };
        self.queries.iter().map(of).collect()
    }

    /// As an index has them.
    fn rows(&self) -> Vec<f32> {
        let curvature = Curvature {
            width: DIMENSIONS,
            weights: &[1.0; COUNT],
            damping: DAMPING,
        };
        let mut rows = self.examples.clone();
        precondition(&mut rows, curvature).unwrap();
        limit(&mut rows, &self.examples, curvature);
        rows
    }

    /// Mean share of the first owner over the answers.
    fn share(&self, spans: &[SharedSpan]) -> f64 {
        self.share_by_pairs(spans, None)
    }

    /// The same where examples and answers have texts, whose shared pairs weigh the scores.
    fn share_by_pairs(&self, spans: &[SharedSpan], texts: Option<&Texts>) -> f64 {
        let mut sum = 0_u64;
        for (at, scores) in self.scores(&self.rows()).into_iter().enumerate() {
            let mut whole: Vec<i128> = scores.iter().map(|it| (it * 1e12) as i128).collect();
            if let Some(texts) = texts {
                let noise = noise(whole.iter().copied());
                texts.pairs[at].weigh(&mut whole, noise).unwrap();
            }
            let world = World {
                parties: (0..OWNERS as u8).map(|at| party(at, 100_000)).collect(),
                examples: (0..COUNT as u32)
                    .map(|at| ClusterExample {
                        contributor: at / EACH as u32,
                        cluster: at,
                    })
                    .collect(),
                scores: whole,
                spans: spans.to_vec(),
                answer_tokens: 32,
                payer: None,
            };
            let settled = world.settled();
            assert_eq!(settled.fallback, None);
            sum += u64::from(world.of(&settled, address(0)));
        }
        sum as f64 / QUERIES as f64 / 1e6
    }

    /// What the first owner has of the plain positive products, undefended.
    fn undefended(&self) -> f64 {
        let positive = |part: &[f64]| part.iter().map(|it| it.max(0.0)).sum::<f64>();
        let scores = self.scores(&self.examples);
        let parts = scores
            .iter()
            .map(|scores| positive(&scores[..EACH]) / positive(scores));
        parts.sum::<f64>() / QUERIES as f64
    }
}

/// Phrases of a topic; each example and each answer has half of them.
const PHRASES: usize = 24;

/// The pairs that each answer shares with the examples.
struct Texts {
    pairs: Vec<PairOverlap>,
}

impl Texts {
    /// `stuffed` examples of the first owner have all phrases of three topics.
    fn new(stuffed: usize) -> Self {
        let mut random = Random(5);
        let mut text = |topic: usize| -> Vec<u32> {
            let mut order: Vec<(u64, usize)> = (0..PHRASES).map(|at| (random.next(), at)).collect();
            order.sort_unstable();
            let half = order.into_iter().take(PHRASES / 2);
            half.flat_map(|(_, at)| phrase(topic, at)).collect()
        };
        let documents: Vec<Vec<u32>> = (0..COUNT)
            .map(|at| match at < stuffed {
                true => (0..3 * PHRASES)
                    .flat_map(|at| phrase(at / PHRASES, at % PHRASES))
                    .collect(),
                false => text(at % TOPICS),
            })
            .collect();
        let originals: Vec<u32> = (0..COUNT as u32).collect();
        let (_dir, index) = crate::attribution::index_of(&documents, &originals);
        let pairs = (0..QUERIES).map(|at| index.pairs(&[], &text(at % TOPICS)));
        Self {
            pairs: pairs.collect(),
        }
    }
}

fn phrase(topic: usize, at: usize) -> [u32; 2] {
    let first = 2 * (topic * PHRASES + at) as u32;
    [first, first + 1]
}

#[test]
fn stuffing_examples_with_phrases_gains_at_most_a_fifth() {
    let plain = Gradients::new();
    let honest = plain.share_by_pairs(&[], Some(&Texts::new(0)));
    assert!((0.08..0.12).contains(&honest), "{honest}");
    let stuffed = Texts::new(MADE_UP);
    let mut shadow = Gradients::new();
    shadow.made_up().for_each(|row| {
        row.fill(0.0);
        row[..3].fill(1e3);
    });
    let gains = [&plain, &shadow].map(|it| it.share_by_pairs(&[], Some(&stuffed)) / honest);
    assert!(gains.iter().all(|gain| *gain <= 1.2), "{gains:?}");
}

#[test]
fn attacks_gain_at_most_a_fifth() {
    let plain = Gradients::new();
    let honest = plain.share(&[]);
    assert!((0.08..0.12).contains(&honest), "{honest}");
    // Gradients made huge, whatever they are about.
    let mut outlier = Gradients::new();
    outlier
        .made_up()
        .for_each(|row| row.iter_mut().for_each(|value| *value *= 1e3));
    // Made to look like the answers of three topics at once, and huge.
    let mut shadow = Gradients::new();
    shadow.made_up().for_each(|row| {
        row.fill(0.0);
        row[..3].fill(1e3);
    });
    let naive = [&outlier, &shadow].map(|it| it.undefended() / plain.undefended());
    assert!(naive.iter().all(|gain| *gain > 2.0), "{naive:?}");
    // A stock phrase that stands in every hundredth document is put into all of the attacker's,
    // and every answer says it.
    let mut examples: Vec<u32> = (0..EACH as u32).collect();
    examples.extend((1..OWNERS as u32).map(|owner| owner * EACH as u32));
    let phrase = SharedSpan {
        start: 0,
        tokens: 8,
        documents: examples.len() as u32,
        examples,
    };
    let gains = [
        outlier.share(&[]),
        shadow.share(&[]),
        plain.share(&[phrase]),
    ];
    let gains = gains.map(|it| it / honest);
    assert!(gains.iter().all(|gain| *gain <= 1.2), "{gains:?}");
}
