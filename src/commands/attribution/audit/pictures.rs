//! The audit of a run on pictures: the tuned model makes pictures for held-out captions, and a model that
//! is trained without a contributor shows how much worse it predicts them.

use std::sync::atomic::AtomicBool;

use super::{
    AttributionAuditRequest, AuditReport, chosen, finish, fresh_folder, is_of, nothing_left, top,
};
use crate::commands::{CommandContext, picture_project};
use openlora_core::{
    atomic,
    error::{ExitStatus, Failure},
};
use openlora_diffusion::{FlowSampler, ImageAdapter, SampleRequest, sample};
use openlora_influence::{
    AttributionDir, IndexContributor, IndexFile, PictureSketcher,
    audit::{AuditPicture, compare, picture_losses, picture_scores},
};
use openlora_model::adapter;
use openlora_train::{
    RunDir, RunStart, TrainFlow,
    pictures::{PictureDataset, PictureTrainInputs, train_on_pictures},
};

pub(super) fn work(
    context: &CommandContext,
    request: &AttributionAuditRequest,
    run: &RunDir,
    inputs: &PictureTrainInputs,
) -> Result<ExitStatus, Failure> {
    let places = AttributionDir::of_run(run.path());
    let index = IndexFile::open(&places.index())?;
    let file = places.dir.join("audit.json");
    // Before the trainings, which take long.
    atomic::probe(&file).map_err(|error| Failure::io("write", &file, &error))?;
    let (base, model) = (&inputs.base, &inputs.model);
    let adapter = adapter::read(&run.adapter())?;
    index.binding().require(&base.digest, &adapter.digest)?;
    let chosen = chosen(&index, &request.contributors)?;
    let tuned = model.adapter(base, &adapter)?;
    let made = made(context, inputs, &tuned, request.answers)?;
    let sketcher = PictureSketcher::from_binding(index.binding(), &places, &base.digest, model)?;
    let scores = picture_scores(&index, &sketcher, &made)?;
    let with = picture_losses(model, &tuned, &made)?;
    let (mut harms, mut audited) = (Vec::new(), Vec::new());
    for at in chosen {
        let contributor = &index.contributors()[at];
        context
            .printer
            .note(format!("training without {}", contributor.name));
        let other = without(inputs, contributor)?;
        let found = picture_losses(model, &other, &made)?;
        let own: Vec<f64> = scores.iter().map(|scores| scores[at]).collect();
        audited.push(compare(contributor.clone(), &own, &with, &found));
        harms.push((at, found));
    }
    let report = AuditReport {
        index: index.digest().to_owned(),
        answers: made.len(),
        top: top(&scores, &harms),
        contributors: audited,
    };
    finish(context, &report, &file)
}

/// The tuned model's pictures for evenly chosen held-out captions.
fn made(
    context: &CommandContext,
    inputs: &PictureTrainInputs,
    tuned: &ImageAdapter,
    count: usize,
) -> Result<Vec<AuditPicture>, Failure> {
    let model = &inputs.model;
    let (trained, held_out) = inputs.parts()?;
    let dataset = match picture_project::held_out(context, &[], model.side())? {
        Some(own) => own,
        None if held_out.is_empty() => trained,
        None => held_out,
    };
    let step = dataset.len().div_ceil(count.max(1)).max(1);
    let mut made = Vec::new();
    for (seed, row) in (0u64..).zip(dataset.rows.iter().step_by(step)) {
        let config = model.denoiser.config();
        let request = SampleRequest {
            caption: &model.caption(&row.caption)?,
            seed,
            steps: config.default_steps,
            guidance: config.default_guidance,
            sampler: FlowSampler::Euler,
        };
        let picture = sample(
            &model.denoiser,
            Some(tuned),
            &request,
            &AtomicBool::new(false),
        )?;
        made.push(AuditPicture {
            caption: row.caption.clone(),
            picture,
        });
    }
    Ok(made)
}

/// The factors trained in the same way without a contributor's pictures.
fn without(
    inputs: &PictureTrainInputs,
    contributor: &IndexContributor,
) -> Result<ImageAdapter, Failure> {
    let sources = &inputs.dataset.sources;
    let rows = inputs.dataset.rows.iter();
    let rows = rows.filter(|row| !is_of(&sources[row.source], contributor));
    let dataset = PictureDataset::new(sources.clone(), rows.cloned().collect());
    if dataset.is_empty() {
        return Err(nothing_left(contributor));
    }
    let inputs = PictureTrainInputs {
        name: inputs.name.clone(),
        base: inputs.base.clone(),
        model: inputs.model.clone(),
        dataset,
        validation: inputs.validation.clone(),
        config: inputs.config.clone(),
        flags: inputs.flags.clone(),
        root: inputs.root.clone(),
        out: None,
    };
    let fresh = fresh_folder()?;
    let start = RunStart::Fresh {
        runs: fresh.path().to_owned(),
    };
    let (_, adapter) = train_on_pictures(&inputs, &start, &mut |_| TrainFlow::Continue)?;
    Ok(adapter)
}
