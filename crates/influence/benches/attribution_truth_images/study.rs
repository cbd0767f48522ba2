//! One world: its truth, and every method's figures beside it.

use std::sync::atomic::AtomicBool;

use openlora_attribution::{
    AttributionIndex,
    queue::CallPicture,
    shares::{Contributor, ShareEvidence, ShareTable, divide_call},
};
use openlora_diffusion::{FlowSampler, SampleRequest, sample};
use openlora_influence::{
    AttributionDir, ContributorIndex, DAMPING, IndexFile, PictureExample, PictureIndexJob,
    PictureOutput, PictureSketcher, WIDTH, build_pictures,
};
use openlora_pictures::Picture;
use openlora_train::{pictures::PictureModel, run::checkpoint::MILESTONES};
use serde_json::{Map, Value, json};

use super::{
    figures::{Figures, shares},
    gradients::{Differentiated, GradientProducts},
    retrain::{
        Asked, Cache, Effort, KEPT, Query, Recipe, Retraining, Trained, Truth, side_by_side,
    },
    worlds::{CONTRIBUTORS, Size, World, world},
};

/// What is built, and how thoroughly.
pub struct Plan {
    pub size: Size,
    pub recipe: Recipe,
    pub effort: Effort,
    /// Points at which the losses of queries are measured.
    pub points: usize,
    /// Pairs of a time and a noise of a gradient.
    pub times: usize,
    /// What the index's gradients are of.
    pub output: PictureOutput,
    pub cache: Cache,
}

/// Dampings that every method may choose from; the baselines get the best one afterwards.
const DAMPINGS: [f64; 7] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
const OUTPUTS: [PictureOutput; 2] = [PictureOutput::Loss, PictureOutput::Square];

/// The world's figures as the committed report has them.
pub fn study(
    plan: &Plan,
    base: &PictureModel,
    name: &'static str,
    tell: &(dyn Fn(&str) + Sync),
) -> Value {
    let side = base.denoiser.config().image_size as u32;
    let world = world(name, &*base.captions, side, plan.size);
    let all: Vec<usize> = (0..world.examples.len()).collect();
    let seed = plan.effort.seed;
    let trained = plan
        .recipe
        .train(&base.denoiser, &world.examples, &all, seed);
    tell(&format!(
        "{name}: {} pictures, loss {:.4}",
        all.len(),
        trained.loss
    ));
    let asked = Asked {
        queries: queries(plan, base, &world, &trained),
        points: plan.points,
        seed: seed + 7,
    };
    let retraining = Retraining {
        name,
        recipe: plan.recipe,
        model: &base.denoiser,
        examples: &world.examples,
        contributors: CONTRIBUTORS,
        asked: &asked,
        cache: &plan.cache,
    };
    let truth = retraining.truth(plan.effort, tell);
    let lab = Lab {
        plan,
        base,
        world: &world,
        trained: &trained,
        asked: &asked,
        truth: &truth,
    };
    lab.report(tell)
}

/// The tuned model's pictures for the world's captions.
fn queries(plan: &Plan, base: &PictureModel, world: &World, trained: &Trained) -> Vec<Query> {
    let numbered: Vec<usize> = (0..world.asked.len()).collect();
    let made: Vec<Vec<u8>> = plan.cache.keep(&format!("{}-pictures", world.name), || {
        side_by_side(&numbered, &|at| {
            let (_, caption) = &world.asked[*at];
            let request = SampleRequest {
                caption,
                seed: plan.effort.seed + *at as u64,
                steps: base.denoiser.config().default_steps,
                guidance: base.denoiser.config().default_guidance,
                sampler: FlowSampler::Euler,
            };
            let adapter = Some(&trained.adapter);
            let picture = sample(&base.denoiser, adapter, &request, &AtomicBool::new(false));
            picture.expect("a picture is made").rgb
        })
    });
    let asked = world.asked.iter().zip(made);
    asked
        .map(|((text, caption), rgb)| Query {
            text: text.clone(),
            caption: caption.clone(),
            rgb,
        })
        .collect()
}

/// A world, the adapter trained on it, and the truth.
struct Lab<'a> {
    plan: &'a Plan,
    base: &'a PictureModel,
    world: &'a World,
    trained: &'a Trained,
    asked: &'a Asked,
    truth: &'a Truth,
}

/// A choice of a method and its figures.
struct Judged {
    choice: Value,
    figures: Figures,
}

impl Lab<'_> {
    fn report(&self, tell: &(dyn Fn(&str) + Sync)) -> Value {
        let (truth, name) = (self.truth, self.world.name);
        let mut report = Map::new();
        let (tv, top) = truth.noise();
        let told_apart = truth.told_apart().iter().filter(|it| **it).count();
        report.insert("name".into(), json!(name));
        report.insert("contributors".into(), json!(CONTRIBUTORS));
        report.insert("examples".into(), json!(self.world.examples.len()));
        report.insert("ceiling".into(), json!(truth.ceiling()));
        report.insert("noise".into(), json!({ "tv": tv, "top": top }));
        report.insert("told_apart".into(), json!(told_apart));
        report.insert(
            "not_told_apart".into(),
            json!(truth.queries.len() - told_apart),
        );
        let alike = vec![vec![1.0; self.world.examples.len()]; truth.queries.len()];
        report.insert("static".into(), json!(self.judged(&alike)));
        let products = self.products();
        let last = KEPT.len() - 1;
        for (name, output) in [("trak", 0), ("dtrak", 1)] {
            let [plain, _] = &products[output][last];
            let best = self.best(plain);
            tell(&format!("{}: {name} {:?}", self.world.name, best.figures));
            report.insert(
                name.into(),
                json!({ "choice": best.choice, "figures": best.figures }),
            );
        }
        let [plain, _] = &products[0][last];
        report.insert("gradient".into(), json!(self.judged(&plain.asked)));
        let choices = self.choices(&products);
        for judged in &choices {
            tell(&format!("{name}: {} {:?}", judged.choice, judged.figures));
        }
        let sweep = choices
            .iter()
            .map(|it| json!({ "choice": it.choice, "figures": it.figures }));
        report.insert("sweep".into(), sweep.collect());
        for output in OUTPUTS {
            let ours = self.ours(output);
            tell(&format!("{name}: index of {output:?} {ours:?}"));
            let key = match output == self.plan.output {
                true => "ours",
                false => "other_output",
            };
            report.insert(key.into(), json!({ "output": output, "figures": ours }));
        }
        Value::Object(report)
    }

    /// Figures of scores that are divided by their excess alone, as baselines are.
    fn judged(&self, scores: &[Vec<f64>]) -> Figures {
        let contributors = self.world.contributors();
        let of = |scores: &Vec<f64>| shares(scores, &contributors, CONTRIBUTORS);
        let shares: Vec<Vec<f64>> = scores.iter().map(of).collect();
        self.truth.figures(scores, &shares)
    }

    /// A baseline at the damping that has the best LDS here, chosen afterwards, which favours it.
    fn best(&self, products: &GradientProducts) -> Judged {
        let tried = DAMPINGS.iter().map(|damping| Judged {
            choice: json!({ "damping": damping }),
            figures: self.judged(&products.scores(*damping, false)),
        });
        let best = tried.max_by(|a, b| a.figures.lds.total_cmp(&b.figures.lds));
        best.expect("there are dampings")
    }

    /// By output, checkpoint and with the preconditioner or without.
    fn products(&self) -> Vec<Vec<[GradientProducts; 2]>> {
        let queries: Vec<PictureExample> = self
            .asked
            .queries
            .iter()
            .map(|query| PictureExample {
                picture: self.picture(query),
                caption: query.caption.clone(),
                hash: [0; 32],
                source: 0,
                cluster: 0,
                credited: 0,
            })
            .collect();
        let differentiated = Differentiated {
            model: &self.base.denoiser,
            trained: self.trained,
            examples: &self.world.examples,
            sources: &self.world.sources,
            queries: &queries,
            times: self.plan.times,
        };
        let of = |output: PictureOutput| {
            let kept = KEPT.iter().enumerate().map(|(at, share)| {
                let name = format!("{}-products-{output:?}-{at}", self.world.name);
                let find = || differentiated.products(*share, output);
                self.plan.cache.keep(&name, find)
            });
            kept.collect()
        };
        OUTPUTS.into_iter().map(of).collect()
    }

    /// The choices of our method, without projection and quantisation.
    fn choices(&self, products: &[Vec<[GradientProducts; 2]>]) -> Vec<Judged> {
        let sets: [&[usize]; 4] = [&[0, 1, 2], &[3], &[0, 1, 2, 3], &[1]];
        let mut found = Vec::new();
        for (output, products) in OUTPUTS.into_iter().zip(products) {
            for set in sets {
                for preconditioned in [0, 1] {
                    for damping in DAMPINGS {
                        let scores = self.summed(products, set, preconditioned, damping);
                        found.push(Judged {
                            choice: json!({
                                "output": output,
                                "checkpoints": set.iter().map(|at| KEPT[*at]).collect::<Vec<f64>>(),
                                "preconditioned": preconditioned == 1,
                                "damping": damping,
                            }),
                            figures: self.judged(&scores),
                        });
                    }
                }
            }
        }
        found
    }

    fn summed(
        &self,
        products: &[[GradientProducts; 2]],
        set: &[usize],
        preconditioned: usize,
        damping: f64,
    ) -> Vec<Vec<f64>> {
        let mut sums = vec![vec![0.0; self.world.examples.len()]; self.asked.queries.len()];
        for at in set {
            // The last step's rate is almost nothing.
            let rate = match set.len() {
                1 => 1.0,
                _ => self.trained.kept[*at].1,
            };
            let scores = products[*at][preconditioned].scores(damping, true);
            for (sums, scores) in sums.iter_mut().zip(scores) {
                let both = sums.iter_mut().zip(scores);
                both.for_each(|(sum, score)| *sum += rate * score);
            }
        }
        sums
    }

    /// The index that a finished run gets, its 8-bit sketches, and the shares that a server makes.
    fn ours(&self, output: PictureOutput) -> Figures {
        let dir = tempfile::tempdir().expect("a folder is made");
        let places = AttributionDir::new(dir.path());
        let material = self.trained.material(&MILESTONES);
        let job = PictureIndexJob {
            model: &self.base.denoiser,
            base: "truth".to_owned(),
            tokenizer: String::new(),
            adapter: "truth".to_owned(),
            data: self.world.name.to_owned(),
            sources: &self.world.sources,
            examples: &self.world.examples,
            material: &material,
            width: WIDTH,
            damping: DAMPING,
            output,
            times: self.plan.times,
        };
        build_pictures(&job, &places, &mut |_| {}).expect("an index is built");
        let file = IndexFile::open(&places.index()).expect("the index opens");
        let sketcher = PictureSketcher::from_binding(file.binding(), &places, "truth", self.base);
        let sketcher = sketcher.expect("the sketcher opens");
        let sources = self.world.sources.iter();
        let mut parties: Vec<Contributor> = sources
            .map(|source| Contributor {
                name: source.contributor.name.clone(),
                address: None,
                owner: None,
                static_ppm: 1,
            })
            .collect();
        let index = ContributorIndex::of_pictures(file, Some(sketcher), &mut parties);
        let sketch = |query: &Query| {
            let picture = self.picture(query);
            let made = CallPicture {
                caption: query.text.clone(),
                width: picture.width,
                height: picture.height,
                rgb: picture.rgb,
            };
            let sketch = index.sketch_picture(&made).expect("a sketch is made");
            index.scores(&sketch).expect("the sketch fits")
        };
        let scores: Vec<Vec<i128>> = self.asked.queries.iter().map(sketch).collect();
        let shares = scores.iter().map(|scores| {
            let evidence = ShareEvidence {
                examples: index.examples(),
                scores,
                spans: &[],
                answer_tokens: 0,
            };
            let table = ShareTable {
                event: [0; 32],
                contributors: &parties,
                payer: None,
            };
            let mut shares = vec![0.0; parties.len()];
            for share in divide_call(&table, Ok(&evidence)).shares {
                shares[share.contributor] = f64::from(share.ppm) / 1e6;
            }
            shares
        });
        let shares: Vec<Vec<f64>> = shares.collect();
        let float = |scores: &Vec<i128>| scores.iter().map(|score| *score as f64).collect();
        let scores: Vec<Vec<f64>> = scores.iter().map(float).collect();
        self.truth.figures(&scores, &shares)
    }

    fn picture(&self, query: &Query) -> Picture {
        let side = self.base.denoiser.config().image_size as u32;
        Picture {
            width: side,
            height: side,
            rgb: query.rgb.clone(),
        }
    }
}
