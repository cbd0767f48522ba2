//! `loss.svg`: the loss curves of a run as SVG without scripts, readable on light and dark
//! backgrounds. Knows only points and pixels.

use std::fmt::Write;

/// The data of the chart. Steps count from 1; losses are in nats per target token.
#[derive(Clone, Debug, Default)]
pub struct LossChart {
    pub title: String,
    pub train: Vec<(u64, f64)>,
    pub validation: Vec<(u64, f64)>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 68.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 52.0;
/// Maximum points of a curve; beyond it, neighbours are averaged to limit the file size.
const MOST_POINTS: usize = 600;
/// Smoothing factor of the smoothed curve.
const MEMORY: f64 = 0.9;

const STYLE: &str = "<style>\
svg{background:#fff}text{font:13px system-ui,sans-serif;fill:#333}.title{font-weight:600;font-size:15px}\
.grid{stroke:#e2e2e2}.axis{stroke:#888}.raw{stroke:#9bb8e0;fill:none}.smooth{stroke:#1f5fbf;fill:none;stroke-width:2}\
.val{fill:#d9480f;stroke:#d9480f}.line{fill:none}\
@media(prefers-color-scheme:dark){svg{background:#16181d}text{fill:#d6d6d6}.grid{stroke:#2c3038}.axis{stroke:#888}\
.raw{stroke:#3d5a86}.smooth{stroke:#7fb0ff}.val{fill:#ff9d5c;stroke:#ff9d5c}.line{fill:none}}\
</style>";

/// The chart as SVG text.
pub fn draw(chart: &LossChart) -> String {
    let frame = ChartFrame::from_chart(chart);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{}\">{STYLE}",
        escaped(&chart.title)
    );
    frame.axes(&mut svg, &chart.title);
    let train = finite(&chart.train);
    frame.curve(&mut svg, "raw", &thinned(&train));
    frame.curve(&mut svg, "smooth", &thinned(&smoothed(&train)));
    frame.points(&mut svg, &finite(&chart.validation));
    legend(&mut svg, !chart.validation.is_empty());
    svg.push_str("</svg>\n");
    svg
}

/// The visible range of values.
struct ChartFrame {
    steps: f64,
    low: f64,
    high: f64,
    tick: f64,
}

impl ChartFrame {
    fn from_chart(chart: &LossChart) -> Self {
        let all = || {
            chart
                .train
                .iter()
                .chain(&chart.validation)
                .filter(|p| p.1.is_finite())
        };
        let steps = all().map(|p| p.0).max().unwrap_or(1).max(1) as f64;
        let high = all().map(|p| p.1).fold(f64::MIN, f64::max).max(1e-9);
        let tick = round_tick(high / 5.0);
        Self {
            steps,
            low: 0.0,
            high: (high / tick).ceil().max(1.0) * tick,
            tick,
        }
    }

    fn x(&self, step: f64) -> f64 {
        LEFT + step / self.steps * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, loss: f64) -> f64 {
        let share = (loss - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    fn axes(&self, svg: &mut String, title: &str) {
        let (right, floor) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        push(
            svg,
            format_args!(
                "<text class=\"title\" x=\"{LEFT}\" y=\"24\">{}</text>",
                escaped(title)
            ),
        );
        for index in 0..=(self.high / self.tick).round() as u32 {
            let value = f64::from(index) * self.tick;
            let y = self.y(value);
            push(
                svg,
                format_args!(
                    "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    LEFT - 8.0,
                    y + 4.0,
                    trimmed(value)
                ),
            );
        }
        let tick = round_tick(self.steps / 6.0).max(1.0);
        for index in 0..=(self.steps / tick).floor() as u32 {
            let value = f64::from(index) * tick;
            push(
                svg,
                format_args!(
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                    self.x(value),
                    floor + 18.0,
                    trimmed(value)
                ),
            );
        }
        push(
            svg,
            format_args!(
                "<path class=\"axis line\" d=\"M{LEFT} {TOP}V{floor}H{right}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">optimizer step</text>\
             <text transform=\"translate(18 {:.1}) rotate(-90)\" text-anchor=\"middle\">loss (nats per token)</text>",
                (LEFT + right) / 2.0,
                HEIGHT - 12.0,
                (TOP + floor) / 2.0
            ),
        );
    }

    fn curve(&self, svg: &mut String, class: &str, points: &[(f64, f64)]) {
        let path: Vec<String> = points
            .iter()
            .map(|(step, loss)| format!("{:.1},{:.1}", self.x(*step), self.y(*loss)))
            .collect();
        if !path.is_empty() {
            push(
                svg,
                format_args!(
                    "<polyline class=\"{class}\" points=\"{}\"/>",
                    path.join(" ")
                ),
            );
        }
    }

    fn points(&self, svg: &mut String, points: &[(f64, f64)]) {
        self.curve(svg, "val line", points);
        for (step, loss) in points {
            push(
                svg,
                format_args!(
                    "<circle class=\"val\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"/>",
                    self.x(*step),
                    self.y(*loss)
                ),
            );
        }
    }
}

fn legend(svg: &mut String, validated: bool) {
    let mut entries = vec![("raw", "training"), ("smooth", "training, smoothed")];
    if validated {
        entries.push(("val line", "validation"));
    }
    for (index, (class, name)) in entries.into_iter().enumerate() {
        let x = WIDTH - RIGHT - 430.0 + index as f64 * 145.0;
        push(
            svg,
            format_args!(
                "<path class=\"{class}\" d=\"M{x} 20h24\"/><text x=\"{}\" y=\"24\">{name}</text>",
                x + 30.0
            ),
        );
    }
}

fn push(svg: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = svg.write_fmt(text);
}

fn finite(points: &[(u64, f64)]) -> Vec<(f64, f64)> {
    points
        .iter()
        .filter(|p| p.1.is_finite())
        .map(|p| (p.0 as f64, p.1))
        .collect()
}

fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let (mut mean, mut missing) = (0.0, 1.0);
    let smooth = |(step, loss): &(f64, f64)| {
        mean = MEMORY * mean + (1.0 - MEMORY) * loss;
        missing *= MEMORY;
        (*step, mean / (1.0 - missing))
    };
    points.iter().map(smooth).collect()
}

fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let group = points.len().div_ceil(MOST_POINTS).max(1);
    let mean = |chunk: &[(f64, f64)]| {
        let count = chunk.len() as f64;
        let sum = chunk
            .iter()
            .fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        (sum.0 / count, sum.1 / count)
    };
    points.chunks(group).map(mean).collect()
}

/// The next of 1, 2 or 5 times a power of ten.
fn round_tick(rough: f64) -> f64 {
    let power = 10f64.powf(rough.max(1e-12).log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|f| f * power >= rough)
        .unwrap_or(10.0);
    factor * power
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
