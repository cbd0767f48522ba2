//! One world: its truth, and every method's figures beside it.

use std::{collections::HashMap, fs, path::PathBuf, sync::Arc};

use openlora_attribution::{
    AttributionIndex,
    queue::CallTokens,
    shares::{Contributor, ShareEvidence, ShareTable, divide_call},
};
use openlora_decoder::{Decoder, TokenBatch};
use openlora_influence::{
    AttributionDir, ContributorIndex, DAMPING, GradientInputs, GradientPass, GradientSketcher,
    IndexFile, IndexJob, IndexMethod, WIDTH, build, influence_rows,
};
use openlora_model::{BaseModel, WeightPrecision, dataset::DataSource, text::TextCodec};
use openlora_train::run::checkpoint::MILESTONES;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    figures::{Figures, shares},
    retrain::{Effort, Query, Recipe, Trained, Truth, answer},
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
    /// Whether other dampings, widths and checkpoints are tried too.
    pub sweep: bool,
}

/// No projection.
pub const EXACT: usize = 1 << 24;

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
    if plan.sweep {
        report.insert("sweep".into(), json!(lab.sweep(tell)));
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
        .map(|prompt| answer(&trained.decoder, prompt, END, world.longest_answer));
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
struct Said {
    /// `[queries][examples]`
    scores: Vec<Vec<f64>>,
    /// `[queries][contributors]`
    shares: Vec<Vec<f64>>,
}

impl Lab<'_> {
    /// All but ours are divided by their scores alone; ours as calls are, and by its scores alone
    /// beside that.
    fn methods(&self) -> Vec<(&'static str, Said)> {
        let last = self.trained.material(&[1.0], false);
        let ours = self.trained.material(&MILESTONES, true);
        let (scores, paid) = self.indexed(&ours, IndexMethod::Influence, WIDTH);
        // Without projection, so that the baselines lose nothing to it.
        let (gradient, _) = self.indexed(&last, IndexMethod::Gradient, EXACT);
        let (datainf, _) = self.indexed(&last, IndexMethod::Datainf, EXACT);
        let alike = vec![vec![1.0; self.world.rows.len()]; self.truth.queries.len()];
        vec![
            ("static", self.by_scores(alike)),
            ("ngram", self.by_scores(self.overlaps())),
            ("gradient", self.by_scores(gradient)),
            ("datainf", self.by_scores(datainf)),
            ("influence", self.by_scores(scores.clone())),
            (
                "ours",
                Said {
                    scores,
                    shares: paid,
                },
            ),
        ]
    }

    fn by_scores(&self, scores: Vec<Vec<f64>>) -> Said {
        let count = self.world.dataset.sources.len();
        let of = |scores: &Vec<f64>| shares(scores, &self.world.rows.sources, count);
        Said {
            shares: scores.iter().map(of).collect(),
            scores,
        }
    }

    fn judge(&self, scores: Vec<Vec<f64>>) -> Figures {
        let said = self.by_scores(scores);
        self.truth.figures(&said.scores, &said.shares)
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

    /// Scores through the file, 8-bit rows and sketches, and the shares that a server makes of
    /// them and the spans.
    fn indexed(
        &self,
        material: &GradientInputs,
        method: IndexMethod,
        width: usize,
    ) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let dir = tempfile::tempdir().expect("a folder is made");
        let places = AttributionDir::new(dir.path());
        let job = self.job(material, method, (width, DAMPING));
        build(&job, &places, &mut |_| {}).expect("an index is built");
        let index = IndexFile::open(&places.index()).expect("the index opens");
        let sketcher = GradientSketcher::open(&places, self.base).expect("the sketcher opens");
        let sources = &self.world.dataset.sources;
        let party = |source: &DataSource| Contributor {
            name: source.contributor.clone(),
            address: None,
            owner: None,
            static_ppm: 1,
        };
        let mut parties: Vec<Contributor> = sources.iter().map(party).collect();
        let witness = ContributorIndex::new(index, Some(sketcher), &mut parties);
        let asked = self.truth.queries.iter().enumerate();
        let said = asked.map(|(number, query)| {
            let exchange = CallTokens {
                prompt: query.prompt.clone(),
                answer: query.answer.clone(),
            };
            let sketch = witness.sketch(&exchange).expect("a sketch is made");
            let scores = witness.scores(&sketch).expect("the sketch fits");
            let evidence = ShareEvidence {
                examples: witness.examples(),
                scores: &scores,
                spans: &witness.trace(&exchange),
                answer_tokens: query.answer.len() as u32,
            };
            let table = ShareTable {
                event: [number as u8; 32],
                contributors: &parties,
                payer: None,
            };
            let mut shares = vec![0.0; parties.len()];
            for share in divide_call(&table, Ok(&evidence)).shares {
                shares[share.contributor] = f64::from(share.ppm) / 1e6;
            }
            let scores: Vec<f64> = scores.into_iter().map(|score| score as f64).collect();
            (scores, shares)
        });
        said.unzip()
    }

    /// Scores in floats, without rounding.
    fn exact(
        &self,
        material: &GradientInputs,
        method: IndexMethod,
        settings: (usize, f64),
    ) -> Vec<Vec<f64>> {
        let job = self.job(material, method, settings);
        let mut scores = vec![vec![0.0; self.world.rows.len()]; self.truth.queries.len()];
        for (at, checkpoint) in material.checkpoints.iter().enumerate() {
            let (rows, projector) = influence_rows(&job, at).expect("rows are found");
            let width = projector.width();
            let placed = material.place(self.frozen, at).expect("factors fit");
            let mut pass = GradientPass::new(placed, Arc::clone(&projector));
            for (query, scores) in self.truth.queries.iter().zip(&mut scores) {
                let ids = [query.prompt.as_slice(), &query.answer].concat();
                let targets: Vec<bool> =
                    (0..ids.len()).map(|at| at >= query.prompt.len()).collect();
                let batch = TokenBatch::from_rows([(ids.as_slice(), targets.as_slice())]);
                let gradient = pass.project_batch(&batch).expect("a gradient is found");
                for (score, row) in scores.iter_mut().zip(rows.chunks(width)) {
                    let products = row.iter().zip(&gradient);
                    *score += checkpoint.rate
                        * products
                            .map(|(u, q)| f64::from(*u) * f64::from(*q))
                            .sum::<f64>();
                }
            }
        }
        scores
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

    /// What each choice of the method is worth.
    fn sweep(&self, tell: &mut dyn FnMut(&str)) -> Vec<Value> {
        let sets: [&[f64]; 8] = [
            &MILESTONES,
            &[0.05, 0.2, 0.5],
            &[0.05, 0.2, 0.35],
            &[0.1, 0.2, 0.35],
            &[0.2, 0.35, 0.75],
            &[0.2],
            &[1.0],
            &[0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0],
        ];
        let mut choices: Vec<(&[f64], usize, f64)> = Vec::new();
        for damping in [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, f64::INFINITY] {
            choices.push((&MILESTONES, WIDTH, damping));
        }
        for width in [256, 512, 2048, 4096, EXACT] {
            choices.push((&MILESTONES, width, DAMPING));
        }
        choices.extend(sets[1..].iter().map(|set| (*set, WIDTH, DAMPING)));
        let mut found = Vec::new();
        for (set, width, damping) in choices {
            let material = self.trained.material(set, true);
            let figures =
                self.judge(self.exact(&material, IndexMethod::Influence, (width, damping)));
            tell(&format!(
                "{set:?} width {width} damping {damping}: {figures:?}"
            ));
            found.push(json!({
                "checkpoints": set, "width": width, "damping": damping.to_string(), "figures": figures,
            }));
        }
        found
    }
}
