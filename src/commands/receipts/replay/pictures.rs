//! Makes the pictures of a call again, and compares their files.

use super::{ReplayPlan, answer_check, count_check, failed, malformed, other_form};
use crate::commands::{call::PictureResult, receipts::ReceiptCheck};
use openlora_core::error::{ExitClass, Failure};
use openlora_engine::{EngineError, ImageRequest, Prompt};
use openlora_ledger::PictureRecord;
use openlora_package::verify::CheckStatus;
use openlora_serve::{
    ServedAdapter,
    picture_files::{PictureFile, PictureStamp},
    wire::{fields::BodyFields, images::PictureOrder},
};

/// What came of making a call's pictures again.
pub(super) struct ReplayedPictures {
    pub checks: Vec<ReceiptCheck>,
    /// Whether the receipt states the digests of exactly these files.
    pub is_as_stated: bool,
    /// The files one after the other, as the receipt's hash covers them.
    pub bytes: Vec<u8>,
}

impl ReplayPlan {
    pub(super) async fn replay_pictures(
        &self,
        adapter: &ServedAdapter,
        fields: &BodyFields,
        given: &[PictureResult],
    ) -> Result<ReplayedPictures, Failure> {
        let (Some(images), Some(record)) = (adapter.engine.images(), &self.computation.pictures)
        else {
            return Err(other_form(self.receipt.kind, "pictures"));
        };
        let order = PictureOrder::read(fields, &images.image_limits()).map_err(malformed)?;
        let prompt = Prompt::Text(order.prompt.clone());
        let tokens = adapter.engine.count_prompt(&prompt).await.map_err(failed)?;
        let guidance = record.guidance.parse().map_err(|_| {
            let message = format!(
                "the receipt {} states the guidance `{}`, expected a number",
                self.receipt.id, record.guidance
            );
            Failure::new(ExitClass::BadInput, message)
        })?;
        let stamp = PictureStamp::new(adapter, record);
        let mut files = Vec::new();
        for at in 0..record.pictures {
            let seed = record.seed.wrapping_add(at);
            let request = ImageRequest {
                prompt: order.prompt.clone(),
                width: record.width,
                height: record.height,
                steps: record.steps,
                guidance,
                seed,
            };
            let made = images.generate_image(request).await.map_err(failed)?;
            let file = PictureFile::encode(made, seed, &stamp);
            files.push(file.map_err(|error| failed(EngineError::Failed(error.to_string())))?);
        }
        let is_made = |it: &PictureResult| files.iter().any(|file| file.sha256 == it.sha256);
        let evaluations = files.iter().map(|file| file.evaluations).sum();
        let stated = self.receipt.usage;
        let digests = files.iter().map(|file| &file.sha256);
        Ok(ReplayedPictures {
            is_as_stated: digests.eq(&record.digests),
            checks: vec![
                count_check("prompt", stated.prompt_tokens, tokens),
                answer_check(given.iter().all(is_made)),
                digests_check(record, &files),
                count_check("evaluations", record.evaluations, evaluations),
            ],
            bytes: files.into_iter().flat_map(|file| file.png).collect(),
        })
    }
}

/// Whether the receipt names the files.
fn digests_check(record: &PictureRecord, files: &[PictureFile]) -> ReceiptCheck {
    let pairs = record.digests.iter().zip(files);
    let mut wrong = pairs
        .enumerate()
        .filter(|(_, (stated, file))| **stated != file.sha256);
    let (status, reason) = match (record.digests.is_empty(), wrong.next()) {
        (true, _) => {
            let reason = "it has no digests: only receipts of paid calls do".to_owned();
            (CheckStatus::Skipped, Some(reason))
        }
        (false, None) => (CheckStatus::Pass, None),
        (false, Some((at, (stated, file)))) => {
            let reason = format!(
                "picture {} has digest {}, the receipt states {stated}",
                at + 1,
                file.sha256
            );
            (CheckStatus::Fail, Some(reason))
        }
    };
    ReceiptCheck {
        name: "pictures",
        status,
        reason,
    }
}
