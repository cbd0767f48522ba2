//! How figures are printed.

use openlora::commands::{figures::confusion, receipts::explain::explanation};
use openlora_serve::attribution::published::PublishedAttribution;
use openlora_train::evaluate::scores::LabelScores;
use serde_json::{Value, json};

#[test]
fn the_confusion_matrix_prints_as_a_table() {
    let labels: Vec<String> = ["no", "perhaps not"].map(String::from).into();
    let scores = LabelScores::from_pairs(&labels, &[(0, 0), (0, 1), (1, 1), (1, 1)]);
    assert_eq!(
        confusion(&scores),
        [
            "true \\ answer           no  perhaps not    recall",
            "no                       1            1     0.500",
            "perhaps not              0            2     1.000",
            "precision            1.000        0.667",
        ]
    );
}

/// An attribution with these fields beside those that always are there.
fn explained(fields: Value) -> Vec<String> {
    let mut found = json!({
        "id": "c4f1", "object": "attribution", "stage": "final", "adapter": "mood",
        "adapter_digest": null, "index": null, "method": "static", "fallback": null,
        "confidence_ppm": null, "evidence_ppm": null, "trace_ppm": null, "trace": null,
        "examples": [], "amounts": null, "lag_milliseconds": 3,
        "shares": [{ "contributor": "Ann", "address": null, "ppm": 1_000_000 }],
    });
    let fields = fields.as_object().unwrap().clone();
    found.as_object_mut().unwrap().extend(fields);
    let found: PublishedAttribution = serde_json::from_value(found).unwrap();
    explanation(&found, |micro| format!("{micro} millionths"))
}

#[test]
fn an_attribution_is_explained_in_plain_words() {
    let span = json!({ "start": 2, "tokens": 7, "documents": 1, "examples": ["ab"] });
    let found = explained(json!({
        "method": "influence", "confidence_ppm": 298_200, "evidence_ppm": 800_000,
        "trace_ppm": 250_000, "trace": { "covered_ppm": 500_000, "spans": [span], "shares": [] },
    }));
    assert_eq!(
        found,
        [
            "c4f1 by mood: this call (influence) decides 80.00 % of the shares, copied phrases \
             25.00 % of that; of all influence, for and against the answer, the strongest \
             contributor has 29.82 %",
            "   100.00 %  Ann",
            "  1 phrase, 50.00 % of the answer, is in the training text too",
            "    tokens 2 to 9: in 1 document, ab",
        ]
    );
    // A picture has no spans.
    let found = explained(json!({
        "method": "influence", "confidence_ppm": 298_200, "evidence_ppm": 800_000, "trace_ppm": 0,
    }));
    assert_eq!(
        found,
        [
            "c4f1 by mood: this call (influence) decides 80.00 % of the shares; of all influence, for \
             and against the answer, the strongest contributor has 29.82 %",
            "   100.00 %  Ann",
        ]
    );
    let found = explained(json!({ "stage": "provisional", "shares": [] }));
    assert_eq!(found, ["c4f1 by mood: its attribution waits"]);
    let empty = json!({ "covered_ppm": 0, "spans": [], "shares": [] });
    for (name, reason) in [
        ("missing_index", "the adapter has no attribution index"),
        ("payer_choice", "the payer asked for them"),
        ("no_surviving_score", "no training example stands out"),
        ("of_a_later_version", "of_a_later_version"),
    ] {
        let found = explained(json!({ "fallback": name, "trace": empty }));
        assert_eq!(
            found,
            [
                format!("c4f1 by mood: static shares, because {reason}"),
                "   100.00 %  Ann".to_owned(),
                "  no phrase of the answer is in the training text".to_owned(),
            ]
        );
    }
}
