//! How figures are printed.

use openlora::commands::figures::confusion;
use openlora_train::evaluate::scores::LabelScores;

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
