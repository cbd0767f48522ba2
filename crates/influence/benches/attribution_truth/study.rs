//! One world: its truth, and every method's figures beside it.

use std::{collections::HashMap, fs, path::PathBuf};

use openlora_attribution::{
    AttributionIndex,
    queue::CallTokens,
    shares::{Contributor, ShareEvidence, ShareOutcome, ShareTable, divide_call},
};
use openlora_decoder::Decoder;
use openlora_influence::{
    AttributionDir, ContributorIndex, DAMPING, GradientInputs, GradientSketcher, IndexFile,
    IndexJob, IndexMethod, WIDTH, build,
};
use openlora_model::{BaseModel, WeightPrecision, dataset::DataSource, text::TextCodec};
use openlora_train::run::checkpoint::MILESTONES;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    figures::shares,
    retrain::{Effort, Query, Recipe, Trained, Truth, answer},
    sweep::{SweepScope, sweep},
    worlds::{Size, World, world},
};

/// What is built, and how thoroughly.
pub struct Plan {
    pub size: Size,
    pub recipe: Recipe,
    pub effort: Effort,
    /// Where retrainings are kept.
    pub cache: Option<PathBuf>,
    /// The folder of real data.
    pub real: Option<PathBuf>,
    /// Which other choices are tried too.
    pub sweep: Option<SweepScope>,
}

/// No projection.
pub const EXACT: usize = 1 << 24;
/// Longest answer.
const MOST: usize = 40;

/// The world's figures as the committed report has them.
pub fn study(
    plan: &Plan,
    base: &BaseModel,
    name: &'static str,
    tell: &mut dyn FnMut(&str),
) -> Value {
    let codec = TextCodec::open(&base.dir).expect("the tokenizer opens");
    let world = world(name, &codec, plan.size, plan.real.as_deref());
    let frozen = Decoder::load(base, WeightPrecision::F32).expect("the base loads");
    let all: Vec<usize> = (0..world.rows.len()).collect();
    let trained = plan
        .recipe
        .train(&frozen, &world.rows, &all, plan.effort.seed);
    tell(&format!("{name}: trained on {} examples", all.len()));
    let truth = truth(plan, &world, &frozen, &trained, tell);
    let lab = Lab {
        base,
        frozen: &frozen,
        world: &world,
        trained: &trained,
        truth: &truth,
    };
    let mut report = Map::new();
    report.insert("name".into(), json!(name));
    report.insert("contributors".into(), json!(world.dataset.sources.len()));
    report.insert("ceiling".into(), json!(truth.ceiling()));
    let (tv, top) = truth.noise();
    report.insert("noise".into(), json!({ "tv": tv, "top": top }));
    let told_apart = truth.told_apart();
    let count = |which: bool| told_apart.iter().filter(|it| **it == which).count();
    report.insert("told_apart".into(), json!(count(true)));
    report.insert("not_told_apart".into(), json!(count(false)));
    let methods = lab.methods();
    for (method, said) in &methods {
        let figures = truth.figures(&said.scores, &said.shares);
        tell(&format!("{name}: {method} {figures:?}"));
        report.insert((*method).into(), json!(figures));
    }
    if let Some(dir) = &plan.cache {
        let said: Map<String, Value> = methods
            .iter()
            .map(|(method, said)| ((*method).to_owned(), json!(said)))
            .collect();
        let text = serde_json::to_string(&said).expect("numbers become text");
        fs::write(dir.join(format!("{name}.said.json")), text).expect("the cache is written");
    }
    if let Some(scope) = plan.sweep {
        report.insert("sweep".into(), json!(sweep(&lab, scope, tell)));
    }
    Value::Object(report)
}

fn truth(
    plan: &Plan,
    world: &World,
    frozen: &Decoder,
    trained: &Trained,
    tell: &mut dyn FnMut(&str),
) -> Truth {
    let file = plan
        .cache
        .as_ref()
        .map(|dir| dir.join(format!("{}.json", world.name)));
    if let Some(text) = file.as_ref().and_then(|file| fs::read_to_string(file).ok()) {
        return serde_json::from_str(&text).expect("the cache is sound");
    }
    let queries = world
        .prompts
        .iter()
        .map(|prompt| answer(&trained.decoder, prompt, END, MOST));
    let asked = (queries.collect(), plan.effort);
    let truth = Truth::find(&plan.recipe, frozen, &world.rows, asked, tell);
    if let Some(file) = file {
        let text = serde_json::to_string(&truth).expect("a truth becomes text");
        fs::write(file, text).expect("the cache is written");
    }
    truth
}

/// The token that ends an answer of the embedded base.
const END: u32 = 2;

/// A world, the model trained on it, and the truth.
pub struct Lab<'a> {
    base: &'a BaseModel,
    pub frozen: &'a Decoder,
    pub world: &'a World,
    pub trained: &'a Trained,
    pub truth: &'a Truth,
}

/// What a method says of every query.
#[derive(Serialize)]
pub struct Said {
    /// `[queries][examples]`
    pub scores: Vec<Vec<f64>>,
    /// `[queries][contributors]`
    pub shares: Vec<Vec<f64>>,
}

impl Lab<'_> {
    /// The baselines are divided by their scores alone; ours as calls are.
    fn methods(&self) -> Vec<(&'static str, Said)> {
        let last = self.trained.material(&[1.0], false);
        // Without projection, so that the baselines lose nothing to it.
        let baseline =
            |method| self.by_scores(self.indexed(&self.witness(&last, method, EXACT)).scores);
        let alike = vec![vec![1.0; self.world.rows.len()]; self.truth.queries.len()];
        vec![
            ("static", self.by_scores(alike)),
            ("ngram", self.by_scores(self.overlaps())),
            ("gradient", baseline(IndexMethod::Gradient)),
            ("datainf", baseline(IndexMethod::Datainf)),
            ("ours", self.indexed(&self.ours())),
        ]
    }

    /// The index that a finished run gets.
    pub fn ours(&self) -> Witness {
        let material = self.trained.material(&MILESTONES, true);
        self.witness(&material, IndexMethod::Influence, WIDTH)
    }

    fn by_scores(&self, scores: Vec<Vec<f64>>) -> Said {
        let count = self.world.dataset.sources.len();
        let of = |scores: &Vec<f64>| shares(scores, &self.world.rows.sources, count);
        Said {
            shares: scores.iter().map(of).collect(),
            scores,
        }
    }

    pub fn job<'a>(
        &'a self,
        material: &'a GradientInputs,
        method: IndexMethod,
        (width, damping): (usize, f64),
    ) -> IndexJob<'a> {
        IndexJob {
            base: self.base,
            precision: WeightPrecision::F32,
            dataset: &self.world.dataset,
            rows: &self.world.rows,
            material,
            adapter: "truth".into(),
            method,
            width,
            damping,
        }
    }

    /// An index of the world, as a server has it.
    fn witness(&self, material: &GradientInputs, method: IndexMethod, width: usize) -> Witness {
        let dir = tempfile::tempdir().expect("a folder is made");
        let places = AttributionDir::new(dir.path());
        let job = self.job(material, method, (width, DAMPING));
        build(&job, &places, &mut |_| {}).expect("an index is built");
        let file = IndexFile::open(&places.index()).expect("the index opens");
        let sketcher = GradientSketcher::open(&places, self.base).expect("the sketcher opens");
        let sources = &self.world.dataset.sources;
        let party = |source: &DataSource| Contributor {
            name: source.contributor.clone(),
            address: None,
            owner: None,
            static_ppm: 1,
        };
        let mut parties: Vec<Contributor> = sources.iter().map(party).collect();
        Witness {
            index: ContributorIndex::new(file.clone(), Some(sketcher), &mut parties),
            file,
            parties,
        }
    }

    /// Scores through the file, 8-bit rows and sketches, and the shares that a server makes of
    /// them and the spans.
    fn indexed(&self, witness: &Witness) -> Said {
        let scores = |query: &Query| {
            let sketch = witness.index.sketch(&exchange(query));
            let sketch = sketch.expect("a sketch is made");
            witness.index.scores(&sketch).expect("the sketch fits")
        };
        self.said(
            witness,
            &self.truth.queries.iter().map(scores).collect::<Vec<_>>(),
        )
    }

    /// Scores, and the shares that a server makes of them and the spans.
    pub fn said(&self, witness: &Witness, scores: &[Vec<i128>]) -> Said {
        let queries = self.truth.queries.iter().zip(scores);
        let float = |scores: &Vec<i128>| scores.iter().map(|score| *score as f64).collect();
        Said {
            shares: queries
                .map(|(query, it)| witness.shares(query, it))
                .collect(),
            scores: scores.iter().map(float).collect(),
        }
    }

    /// Pairs of tokens that answer and example share, rare ones counting more.
    fn overlaps(&self) -> Vec<Vec<f64>> {
        let pairs = |ids: &[u32]| {
            let mut pairs: Vec<[u32; 2]> = ids.windows(2).map(|pair| [pair[0], pair[1]]).collect();
            pairs.sort_unstable();
            pairs.dedup();
            pairs
        };
        let rows: Vec<Vec<[u32; 2]>> = self
            .world
            .rows
            .encoded
            .iter()
            .map(|row| pairs(&row.ids))
            .collect();
        let mut holders: HashMap<[u32; 2], f64> = HashMap::new();
        rows.iter()
            .flatten()
            .for_each(|pair| *holders.entry(*pair).or_default() += 1.0);
        let scores = |query: &Query| {
            let asked = pairs(&query.answer);
            let shared = |row: &Vec<[u32; 2]>| {
                let both = asked.iter().filter(|pair| row.binary_search(pair).is_ok());
                both.map(|pair| 1.0 / holders[pair]).sum::<f64>()
            };
            rows.iter().map(shared).collect::<Vec<f64>>()
        };
        self.truth.queries.iter().map(scores).collect()
    }
}

/// An opened index and the parties that it pays.
pub struct Witness {
    index: ContributorIndex,
    pub file: IndexFile,
    parties: Vec<Contributor>,
}

impl Witness {
    /// What a server makes of these scores and the answer's spans.
    fn shares(&self, query: &Query, scores: &[i128]) -> Vec<f64> {
        self.listed(&self.outcome(query, scores))
    }

    fn listed(&self, outcome: &ShareOutcome) -> Vec<f64> {
        let mut shares = vec![0.0; self.parties.len()];
        for share in &outcome.shares {
            shares[share.contributor] = f64::from(share.ppm) / 1e6;
        }
        shares
    }

    /// The shares of `divided`, with the weight of evidence, if any, that `strength` has.
    pub fn shares_with_strength(
        &self,
        query: &Query,
        divided: &[i128],
        strength: &[i128],
    ) -> Vec<f64> {
        let weight = |outcome: &ShareOutcome| f64::from(outcome.evidence_ppm) / 1e6;
        let (divided, strength) = (self.outcome(query, divided), self.outcome(query, strength));
        let (own, wanted) = (weight(&divided), weight(&strength));
        if own == 0.0 || wanted == 0.0 {
            return self.listed(&strength);
        }
        // The static shares are equal in every world.
        let rest = 1.0 / self.parties.len() as f64;
        let blended = self.listed(&divided).into_iter();
        let evidence = blended.map(|share| (share - (1.0 - own) * rest) / own);
        evidence
            .map(|share| share * wanted + (1.0 - wanted) * rest)
            .collect()
    }

    fn outcome(&self, query: &Query, scores: &[i128]) -> ShareOutcome {
        let evidence = ShareEvidence {
            examples: self.index.examples(),
            scores,
            spans: &self.index.trace(&exchange(query)),
            answer_tokens: query.answer.len() as u32,
        };
        let table = ShareTable {
            event: [0; 32],
            contributors: &self.parties,
            payer: None,
        };
        divide_call(&table, Ok(&evidence))
    }
}

fn exchange(query: &Query) -> CallTokens {
    CallTokens {
        prompt: query.prompt.clone(),
        answer: query.answer.clone(),
    }
}
