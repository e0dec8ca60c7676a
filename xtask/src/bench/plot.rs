//! A figure of two panels as SVG: processor time a GiB and latency, over the same axis.
//!
//! The background is white and everything on it dark, so that a page in either color scheme shows
//! the same. Axes are logarithmic where the values span more than a decade or so, which their
//! label says. A bar goes from the least to the greatest value of a point.

use std::fmt::Write as _;

/// Two panels with a common title.
pub(super) struct Figure<'a> {
    pub(super) title: &'a str,
    /// Lines below the title.
    pub(super) note: &'a [&'a str],
    /// What is told at the bottom.
    pub(super) footer: &'a str,
    pub(super) x_label: &'a str,
    /// Whether x is told in bytes, KiB and MiB.
    pub(super) x_bytes: bool,
    pub(super) panels: Vec<Panel<'a>>,
}

/// One diagram.
pub(super) struct Panel<'a> {
    pub(super) y_label: &'a str,
    pub(super) series: Vec<Series>,
}

/// A line with a mark at each point.
pub(super) struct Series {
    pub(super) name: String,
    /// As SVG has it: `#rrggbb`.
    pub(super) color: &'static str,
    /// As SVG has it; empty for a line without gaps.
    pub(super) dash: &'static str,
    /// x in order.
    pub(super) points: Vec<Point>,
}

/// A value and its spread, which is drawn as a bar.
#[derive(Clone, Copy)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    /// The ends of the bar.
    pub(super) least: f64,
    pub(super) greatest: f64,
}

const PANEL_WIDTH: f64 = 400.0;
const HEIGHT: f64 = 346.0;
/// Of a panel, around its frame.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 82.0;
const BOTTOM: f64 = 48.0;
/// Between the beginnings of two lines of a key.
const KEY_STEP: f64 = 16.0;
/// An axis whose greatest value is more times its least is logarithmic.
const LINEAR_MAX: f64 = 12.0;
/// Below the key, for the footer.
const FOOT: f64 = 22.0;
/// Between the middle of a bar and its ends' sides.
const BAR_HALF: f64 = 4.0;
/// How wide a character of a label is, about.
const CHARACTER: f64 = 6.2;

/// An axis: values to places.
struct Axis {
    least: f64,
    greatest: f64,
    is_log: bool,
    /// Places of the least and of the greatest value.
    from: f64,
    to: f64,
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        let of = |value: f64| if self.is_log { value.log10() } else { value };
        let share = (of(value) - of(self.least)) / (of(self.greatest) - of(self.least));
        self.from + share * (self.to - self.from)
    }

    /// One over the values that there are.
    fn x(values: &[f64], from: f64) -> Self {
        let (least, greatest) = ends(values);
        let is_log = greatest / least > LINEAR_MAX;
        let (from, to) = (from + LEFT + 14.0, from + PANEL_WIDTH - RIGHT - 14.0);
        let greatest = if greatest > least { greatest } else { least + 1.0 };
        Self { least, greatest, is_log, from, to }
    }

    /// One from zero, or from one power of ten to another.
    fn y(values: &[f64]) -> Self {
        let (least, greatest) = ends(values);
        let is_log = greatest / least > LINEAR_MAX;
        let (least, greatest) = if is_log {
            (10f64.powf(least.log10().floor()), 10f64.powf(greatest.log10().ceil()))
        } else {
            let step = step(greatest);
            (0.0, (greatest / step).ceil() * step)
        };
        Self { least, greatest, is_log, from: HEIGHT - BOTTOM, to: TOP }
    }

    /// Where lines are drawn across the panel.
    fn ticks(&self) -> Vec<f64> {
        let next = |tick: f64| if self.is_log { tick * 10.0 } else { tick + step(self.greatest) };
        std::iter::successors(Some(self.least), |tick| Some(next(*tick)))
            .take_while(|tick| *tick <= self.greatest * 1.0001)
            .collect()
    }
}

/// The least and the greatest value above zero.
fn ends(values: &[f64]) -> (f64, f64) {
    let above = values.iter().copied().filter(|value| *value > 0.0 && value.is_finite());
    let (least, greatest) = above.fold((f64::INFINITY, 0.0), |(least, greatest), value| {
        (f64::min(least, value), f64::max(greatest, value))
    });
    if least.is_finite() { (least, greatest) } else { (1.0, 1.0) }
}

/// 1, 2 or 5 times a power of ten, at most a third and at least about a seventh of `greatest`.
fn step(greatest: f64) -> f64 {
    let power = 10f64.powf((greatest / 3.0).log10().floor());
    [5.0, 2.0]
        .into_iter()
        .map(|times| times * power)
        .find(|step| *step <= greatest / 3.0)
        .unwrap_or(power)
}

/// Draws a figure.
pub(super) fn svg(figure: &Figure<'_>) -> String {
    let width = PANEL_WIDTH * figure.panels.len() as f64;
    let keys = figure.panels.iter().map(|panel| panel.series.len()).max().unwrap_or(0);
    let height = HEIGHT + KEY_STEP * keys as f64 + FOOT;
    let mut page = Page(String::new());
    page.line(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\""
    ));
    page.line(&format!("viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\""));
    page.line("font-size=\"11\" fill=\"#1f2937\">");
    page.line(&format!("<title>{}</title>", escaped(figure.title)));
    page.line(&format!("<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"));
    page.text((LEFT, 22.0), "start", "font-size=\"15\" font-weight=\"bold\"", figure.title);
    let faint = "fill=\"#4b5563\"";
    for (number, note) in figure.note.iter().enumerate() {
        page.text((LEFT, 40.0 + 15.0 * number as f64), "start", faint, note);
    }
    page.text((LEFT, height - 8.0), "start", faint, figure.footer);
    for (number, panel) in figure.panels.iter().enumerate() {
        page.panel(figure, panel, PANEL_WIDTH * number as f64);
    }
    page.line("</svg>");
    page.0
}

/// Of a text in the file, in one line; its attributes are shorter than what is left of 100.
const TEXT_COLUMNS: usize = 60;

struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: &str, more: &str, text: &str) {
        self.line(&format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\""));
        // A break is drawn as a space, and keeps lines short.
        let (mut line, mut rest) = (format!("{more}>"), escaped(text));
        while rest.len() > TEXT_COLUMNS
            && let Some(at) = rest.get(..TEXT_COLUMNS).and_then(|part| part.rfind(' '))
        {
            let behind = rest.split_off(at + 1);
            self.line(&(line + rest.trim_end()));
            (line, rest) = (String::new(), behind);
        }
        self.line(&format!("{line}{rest}</text>"));
    }

    fn stroke(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), color: &str) {
        self.line(&format!("<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"{color}\"/>"));
    }

    fn panel(&mut self, figure: &Figure<'_>, panel: &Panel<'_>, left: f64) {
        let points = || panel.series.iter().flat_map(|series| &series.points);
        let mut xs: Vec<f64> = points().map(|point| point.x).collect();
        let ys: Vec<f64> =
            points().flat_map(|point| [point.y, point.least, point.greatest]).collect();
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        let (x, y) = (Axis::x(&xs, left), Axis::y(&ys));
        let (from, to) = (left + LEFT, left + PANEL_WIDTH - RIGHT);
        let middle = f64::midpoint(from, to);
        let label = |name: &str, axis: &Axis| {
            if axis.is_log { format!("{name} (log scale)") } else { name.to_owned() }
        };
        self.text((from, TOP - 8.0), "start", "font-weight=\"bold\"", &label(panel.y_label, &y));
        let below = HEIGHT - BOTTOM + 34.0;
        self.text((middle, below), "middle", "", &label(figure.x_label, &x));
        for tick in y.ticks() {
            let place = y.place(tick);
            self.stroke((from, place), (to, place), "#d1d5db");
            self.text((from - 6.0, place + 4.0), "end", "", &number(tick));
        }
        self.x_ticks(&xs, &x, figure.x_bytes);
        let frame = HEIGHT - BOTTOM;
        self.stroke((from, frame), (to, frame), "#374151");
        for (nth, series) in panel.series.iter().enumerate() {
            let (color, dash) = (series.color, series.dash);
            self.series(series, (&x, &y));
            let key = HEIGHT + KEY_STEP * nth as f64 + 4.0;
            self.line(&format!("<path d=\"M{from:.1} {key:.1}h28\" stroke=\"{color}\""));
            self.line(&format!("stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>"));
            self.text((from + 36.0, key + 4.0), "start", "", &series.name);
        }
    }

    /// A tick at each value that was measured, labels where there is room.
    fn x_ticks(&mut self, values: &[f64], axis: &Axis, is_bytes: bool) {
        let mut free_from = 0.0;
        let frame = HEIGHT - BOTTOM;
        for value in values {
            let place = axis.place(*value);
            self.stroke((place, frame), (place, frame + 4.0), "#374151");
            let label = told(*value, is_bytes);
            let half = label.len() as f64 * CHARACTER / 2.0;
            if place - half >= free_from {
                self.text((place, frame + 17.0), "middle", "", &label);
                free_from = place + half + 4.0;
            }
        }
    }

    fn series(&mut self, series: &Series, (x, y): (&Axis, &Axis)) {
        let (color, dash) = (series.color, series.dash);
        let is_seen = |value: f64| value.is_finite() && (value > 0.0 || !y.is_log);
        let points = series.points.iter();
        let points: Vec<&Point> =
            points.filter(|point| point.x > 0.0 && is_seen(point.y)).collect();
        self.line("<polyline points=\"");
        for point in &points {
            self.line(&format!("{:.1},{:.1}", x.place(point.x), y.place(point.y)));
        }
        self.line(&format!("\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\""));
        self.line(&format!("stroke-dasharray=\"{dash}\"/>"));
        for point in points {
            let (cx, cy) = (x.place(point.x), y.place(point.y));
            if point.least < point.greatest && is_seen(point.least) && is_seen(point.greatest) {
                let ends = [point.least, point.greatest].map(|value| y.place(value));
                self.stroke((cx, ends[0]), (cx, ends[1]), color);
                for end in ends {
                    self.stroke((cx - BAR_HALF, end), (cx + BAR_HALF, end), color);
                }
            }
            self.line(&format!("<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3\" fill=\"{color}\"/>"));
        }
    }
}

/// A value of x.
pub(super) fn told(value: f64, is_bytes: bool) -> String {
    if is_bytes { bytes(value) } else { number(value) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// 100 B, 16 KiB, 1 MiB.
fn bytes(value: f64) -> String {
    match value {
        value if value >= f64::from(1 << 20) => format!("{} MiB", number(value / 1048576.0)),
        value if value >= 1024.0 => format!("{} KiB", number(value / 1024.0)),
        value => format!("{} B", number(value)),
    }
}

/// With commas between thousands, and no more digits than it needs.
fn number(value: f64) -> String {
    if value < 1000.0 {
        let text = format!("{value:.3}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let mut told = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            told.push(',');
        }
        // Writing to a string cannot fail.
        let _ = write!(told, "{digit}");
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_shortly() {
        let cases =
            [(0.0, "0"), (0.05, "0.05"), (2.5, "2.5"), (100.0, "100"), (10_000.0, "10,000")];
        for (value, told) in cases {
            assert_eq!(number(value), told);
        }
        let cases =
            [(100.0, "100 B"), (1024.0, "1 KiB"), (65_536.0, "64 KiB"), (1048576.0, "1 MiB")];
        for (value, told) in cases {
            assert_eq!(bytes(value), told);
        }
    }

    #[test]
    fn long_texts_are_broken_between_words() {
        let text = "words ".repeat(40);
        let mut page = Page(String::new());
        page.text((0.0, 0.0), "start", "fill=\"red\"", text.trim());
        assert!(page.0.lines().all(|line| line.len() <= 100), "{}", page.0);
        let (_, drawn) = page.0.split_once("\"red\">").unwrap();
        assert_eq!(drawn.replace('\n', " "), format!("{}</text> ", text.trim()));
    }

    #[test]
    fn axes_hold_what_they_are_made_for() {
        for values in [vec![3.0, 4.9], vec![0.07, 900.0], vec![1.0], vec![0.2, 1.3]] {
            let axis = Axis::y(&values);
            let ticks = axis.ticks();
            assert!((2..=8).contains(&ticks.len()), "{values:?}: {ticks:?}");
            for value in values {
                assert!(axis.least <= value && value <= axis.greatest);
                assert!((axis.to..=axis.from).contains(&axis.place(value)));
            }
        }
    }

    #[test]
    fn a_figure_draws_each_point_once_and_escapes_its_words() {
        let point = |x, y| Point { x, y, least: y - 0.5, greatest: y + 0.5 };
        let mut points = vec![point(1.0, 2.0), point(10.0, 3.0), point(1000.0, 4.0)];
        points[0].least = 2.0;
        points[0].greatest = 2.0;
        let series = vec![Series { name: "a < b".to_owned(), color: "#000000", dash: "", points }];
        let panels = vec![Panel { y_label: "y", series }];
        let (title, note, footer, x_label) = ("t", &["n"][..], "f", "x");
        let drawn = svg(&Figure { title, note, footer, x_label, x_bytes: false, panels });
        // Two of the points have a bar, of three strokes.
        let bars = drawn.lines().filter(|line| line.ends_with("stroke=\"#000000\"/>"));
        assert_eq!(bars.count(), 6);
        assert_eq!(drawn.matches("<circle").count(), 3);
        assert!(drawn.contains("a &lt; b"));
        assert!(drawn.contains("x (log scale)"));
        assert!(drawn.lines().all(|line| line.len() <= 100), "{drawn}");
    }
}
