//! Tables without borders, and facts one below the other: as wide as their content, two spaces between columns.

use super::{Paint, Tone, clean};

/// Between two columns: enough to tell them apart, little enough that seven of them fit a terminal.
const GAP: usize = 2;

/// One value of a table.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// `text` in a tone.
    #[must_use]
    pub fn toned(tone: Tone, text: &str) -> Self {
        let text = if text.is_empty() { "-".to_owned() } else { clean(text).into_owned() };
        Self { text, tone }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(value: T) -> Self {
        Self::toned(Tone::Plain, &value.to_string())
    }
}

/// Rows under headings.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
    empty: &'static str,
}

impl Table {
    /// A table with these headings; `empty` is what to say if there is no row.
    #[must_use]
    pub fn new(headings: &[&str], empty: &'static str) -> Self {
        Self { rows: vec![headings.iter().map(|heading| Cell::toned(Tone::Faint, heading)).collect()], empty }
    }

    /// Adds a row, as long as the headings.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as lines.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        if self.rows.len() == 1 {
            return format!("{}\n", self.empty);
        }
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(Cell::width).max();
        let widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or(0)).collect();
        self.rows.iter().map(|row| line(row, &widths, paint)).collect()
    }
}

/// Rows that are printed one by one, before the next is known: columns only grow.
#[derive(Debug, Clone)]
pub struct Rows {
    widths: Vec<usize>,
}

impl Rows {
    /// Columns of at least these widths, in characters.
    #[must_use]
    pub fn new(widths: &[usize]) -> Self {
        Self { widths: widths.to_vec() }
    }

    /// The next row as a line.
    pub fn line(&mut self, cells: &[Cell], paint: Paint) -> String {
        for (width, cell) in self.widths.iter_mut().zip(cells) {
            *width = cell.width().max(*width);
        }
        line(cells, &self.widths, paint)
    }
}

fn line(cells: &[Cell], widths: &[usize], paint: Paint) -> String {
    let mut text = String::new();
    let mut pending = 0;
    for (cell, width) in cells.iter().zip(widths) {
        // Spaces are written only before what follows them, so that no line ends with any.
        text.extend(std::iter::repeat_n(' ', pending));
        text.push_str(&paint.apply(cell.tone, &cell.text));
        pending = width - cell.width() + GAP;
    }
    text.push('\n');
    text
}

/// Named values, one below the other.
#[derive(Debug, Clone, Default)]
pub struct Facts(Vec<(&'static str, Cell)>);

impl Facts {
    /// No facts yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fact.
    #[must_use]
    pub fn fact(mut self, name: &'static str, value: impl Into<Cell>) -> Self {
        self.push(name, value.into());
        self
    }

    /// Adds a fact in place.
    pub fn push(&mut self, name: &'static str, value: Cell) {
        self.0.push((name, value));
    }

    /// The facts as lines.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        let width = self.0.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + GAP;
        let line = |(name, cell): &(&'static str, Cell)| {
            let padded = format!("{name:width$}");
            format!("{}{}\n", paint.apply(Tone::Faint, &padded), paint.apply(cell.tone, &cell.text))
        };
        self.0.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_content_and_no_line_ends_with_spaces() {
        let mut table = Table::new(&["NAME", "STATE"], "nothing");
        table.row(["a".into(), "here".into()]);
        table.row(["longer".into(), "".into()]);
        assert_eq!(table.render(Paint::Plain), "NAME    STATE\na       here\nlonger  -\n");
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let mut table = Table::new(&["A", "B"], "nothing");
        table.row([Cell::toned(Tone::Bad, "x"), "y".into()]);
        assert_eq!(table.render(Paint::Colour).lines().nth(1), Some("\u{1b}[31mx\u{1b}[0m  y"));
    }

    #[test]
    fn a_table_without_rows_is_a_sentence() {
        assert_eq!(Table::new(&["A"], "no nodes").render(Paint::Plain), "no nodes\n");
    }

    #[test]
    fn a_cell_cannot_drive_the_terminal_or_break_the_line() {
        let mut table = Table::new(&["A"], "nothing");
        table.row(["\u{1b}[2J\nx".into()]);
        assert_eq!(table.render(Paint::Plain), "A\n\u{fffd}[2J x\n");
    }
}
