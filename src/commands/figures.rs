//! Evaluation metrics as tables.

use anstyle::Style;

use crate::commands::printer::Printer;
use openlora_train::{
    evaluate::{EvalFigures, EvalReport, TextFigures, scores::LabelScores},
    pictures::{PictureEvalReport, PictureFigures, SampledPictures},
};

const BOLD: Style = Style::new().bold();

/// Prints the metrics of an adapter next to those of its base, and the confusion matrix.
pub fn print(printer: &Printer, report: &EvalReport) {
    match (&report.adapter, &report.base) {
        (EvalFigures::Labels(adapter), Some(EvalFigures::Labels(base))) => {
            labels(printer, adapter, Some(base))
        }
        (EvalFigures::Labels(adapter), _) => labels(printer, adapter, None),
        (EvalFigures::Text(adapter), Some(EvalFigures::Text(base))) => {
            text(printer, adapter, Some(base))
        }
        (EvalFigures::Text(adapter), _) => text(printer, adapter, None),
    }
}

/// Prints the figures of an adapter that makes pictures next to those of its base.
pub fn print_pictures(printer: &Printer, report: &PictureEvalReport) {
    let PictureEvalReport { adapter, base, .. } = report;
    heading(
        printer,
        &format!("{} pictures", adapter.pictures),
        base.is_some(),
    );
    let loss = |figures: &PictureFigures| figures.loss;
    figure(printer, "loss", loss(adapter), base.as_ref().map(loss), 4);
    let Some(made) = &adapter.made else { return };
    let of_base = base.as_ref().and_then(|base| base.made.as_ref());
    figure(
        printer,
        "attributes",
        made.right,
        of_base.map(|made| made.right),
        3,
    );
    if let Some(style) = made.in_style {
        figure(
            printer,
            "style",
            style,
            of_base.and_then(|made| made.in_style),
            3,
        );
    }
    let SampledPictures {
        pictures,
        attributes,
        styled,
        ..
    } = made;
    printer.line("");
    printer.line(format!(
        "in {pictures} pictures made for held-out captions, which ask for {attributes} attributes and, \
         {styled} of them, a style"
    ));
}

fn labels(printer: &Printer, adapter: &LabelScores, base: Option<&LabelScores>) {
    heading(printer, &format!("{} rows", adapter.rows), base.is_some());
    let row =
        |name, of: fn(&LabelScores) -> f64| figure(printer, name, of(adapter), base.map(of), 3);
    row("accuracy", |scores| scores.accuracy);
    row("macro-F1", |scores| scores.macro_f1);
    printer.line("");
    for line in confusion(adapter) {
        printer.line(line);
    }
}

fn text(printer: &Printer, adapter: &TextFigures, base: Option<&TextFigures>) {
    heading(printer, &format!("{} rows", adapter.rows), base.is_some());
    let row =
        |name, of: fn(&TextFigures) -> f64| figure(printer, name, of(adapter), base.map(of), 3);
    row("loss", |figures| figures.loss);
    row("perplexity", |figures| figures.perplexity);
}

fn heading(printer: &Printer, rows: &str, compared: bool) {
    let base = if compared {
        format!("{:>10}", "base")
    } else {
        String::new()
    };
    printer.painted(&printer.paint(BOLD, &format!("{rows:<14}{:>10}{base}", "adapter")));
}

fn figure(printer: &Printer, name: &str, adapter: f64, base: Option<f64>, digits: usize) {
    let base = base.map_or(String::new(), |base| format!(" {base:>9.digits$}"));
    printer.line(format!("{name:<14}{adapter:>10.digits$}{base}"));
}

/// The confusion matrix: a row per true label, a column per answer, recall and precision.
pub fn confusion(scores: &LabelScores) -> Vec<String> {
    let corner = "true \\ answer";
    let longest = scores
        .labels
        .iter()
        .map(|label| label.chars().count())
        .max()
        .unwrap_or(0);
    let (first, width) = (longest.max(corner.len()), longest.max(9) + 2);
    let cells = |values: &mut dyn Iterator<Item = String>| {
        values
            .map(|value| format!("{value:>width$}"))
            .collect::<String>()
    };
    let heads = cells(&mut scores.labels.iter().cloned());
    let mut lines = vec![format!("{corner:<first$}{heads}{:>10}", "recall")];
    for (index, class) in scores.classes.iter().enumerate() {
        let counts = cells(&mut scores.confusion[index].iter().map(u64::to_string));
        lines.push(format!(
            "{:<first$}{counts}{:>10.3}",
            class.label, class.recall
        ));
    }
    let precision = cells(
        &mut scores
            .classes
            .iter()
            .map(|class| format!("{:.3}", class.precision)),
    );
    lines.push(format!("{:<first$}{precision}", "precision"));
    lines
}
