//! Why a call has the static shares, for people.

/// A clause for the name that events and published logs have for the reason; a name that is not
/// known stands for itself.
pub fn fallback_reason(name: &str) -> &str {
    match name {
        "missing_index" => "the adapter has no attribution index",
        "stale_index" => "the attribution index belongs to other weights",
        "empty_answer" => "the answer is empty",
        "interrupted" => "the server stopped before the answer's tokens were stored",
        "no_tokens" => "the engine does not give the answer's tokens",
        "payer_choice" => "the payer asked for them",
        "not_a_number" => "a gradient was no number",
        "sketch_failed" => "the answer's gradient could not be computed",
        "out_of_range" => "a score was out of range",
        "mismatch" => "the index scores another number of examples",
        "no_surviving_score" => "no training example stands out",
        "self_dealing" => "all evidence points at the payer's own data",
        other => other,
    }
}
