//! Whether an adapter has an effect: it must change the logits of a few test prompts.

use openlora_engine::EngineError;

/// Number of test prompts.
const CANARIES: u64 = 3;
const CANARY_TOKENS: u64 = 12;
/// Tokens of a brief prompt. With fewer than two, attention has nothing to choose from, and a change of
/// queries or keys would not show.
const BRIEF_TOKENS: u64 = 3;
/// Largest logit difference, relative to the largest logit, that counts as no change.
const DEAD: f32 = 1e-6;

/// The test prompts, spread over a vocabulary of `vocabulary` tokens and no longer than `context`
/// allows.
pub fn canary_prompts(vocabulary: usize, context: usize) -> Vec<Vec<u32>> {
    prompts(vocabulary, context, CANARY_TOKENS)
}

/// The beginnings of the test prompts. An effect on them is an effect; whether an adapter has none is
/// for the whole prompts to decide.
pub fn brief_canary_prompts(vocabulary: usize, context: usize) -> Vec<Vec<u32>> {
    prompts(vocabulary, context, BRIEF_TOKENS)
}

fn prompts(vocabulary: usize, context: usize, tokens: u64) -> Vec<Vec<u32>> {
    let vocabulary = vocabulary.max(1) as u64;
    let length = tokens.min(context.saturating_sub(1).max(1) as u64);
    let token = |number: u64, at: u64| ((number * 1_000_003 + at * 7_919 + 1) % vocabulary) as u32;
    (0..CANARIES)
        .map(|number| (0..length).map(|at| token(number, at)).collect())
        .collect()
}

/// The largest difference between the rows of logits after the test prompts, `before` without the
/// adapter `name` and `after` with it.
///
/// # Errors
///
/// A difference within rounding, and logits that are no numbers.
pub fn adapter_effect(
    name: &str,
    before: &[Vec<f32>],
    after: &[Vec<f32>],
) -> Result<f32, EngineError> {
    let pairs = || before.iter().flatten().zip(after.iter().flatten());
    let difference = pairs().map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    let scale = pairs().map(|(a, _)| a.abs()).fold(0f32, f32::max);
    if after.iter().flatten().any(|logit| !logit.is_finite()) {
        return Err(EngineError::Unsupported {
            name: name.to_owned(),
            reason: "with it the base computes logits that are no numbers".to_owned(),
            hint: None,
        });
    }
    if difference <= scale * DEAD {
        return Err(EngineError::DeadAdapter {
            name: name.to_owned(),
            prompts: before.len(),
            difference,
        });
    }
    Ok(difference)
}
