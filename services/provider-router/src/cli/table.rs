//! Tables with borders for the terminal.

use std::borrow::Cow;

use comfy_table::{ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};

/// Maximum width of a cell in characters; longer texts are cut.
const MAX_CELL: usize = 50;

/// A frame, a line below the header row, and none between the other rows.
const STYLE: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('┌', '─', '┬', '┐'))
    .header_lines(ContentLineStyle::new('│', '│', '│'))
    .header_separator(LineStyle::new('├', '─', '┼', '┤'))
    .content_lines(ContentLineStyle::new('│', '│', '│'))
    .bottom_border(LineStyle::new('└', '─', '┴', '┘'));

/// Renders rows below a header row. Columns are as wide as their widest cell, whatever the width of the terminal is, so
/// that scripts see the same lines.
pub(super) fn table<const WIDTH: usize>(heads: [&str; WIDTH], rows: &[[String; WIDTH]]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled).set_header(heads);
    table.add_rows(rows.iter().map(|row| row.each_ref().map(|text| cell(text))));
    table.to_string()
}

/// Renders a title in a box.
pub(super) fn boxed(title: &str) -> String {
    let line = "═".repeat(title.chars().count() + 2);
    format!("╔{line}╗\n║ {title} ║\n╚{line}╝")
}

/// Returns the text of a cell: without control characters, and cut to [`MAX_CELL`] characters.
fn cell(text: &str) -> String {
    let text = plain(text);
    if text.chars().count() <= MAX_CELL {
        return text.into_owned();
    }
    text.chars().take(MAX_CELL - 1).chain(['…']).collect()
}

/// Replaces control characters, so that text from other sources cannot control the terminal.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>().into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_their_widest_cell() {
        let rows = [["a".to_owned(), "x".repeat(60)], ["\x1b[31mé".to_owned(), String::new()]];
        let cut = format!("{}…", "x".repeat(49));
        let drawn = table(["Id", "Name"], &rows);
        let lines: Vec<&str> = drawn.lines().collect();
        assert!(lines.len() == 6 && lines.iter().all(|line| line.chars().count() == 63), "{drawn}");
        assert_eq!(lines[3], format!("│ a      │ {cut} │"));
        assert_eq!(lines[4], format!("│ \u{fffd}[31mé │ {:50} │", ""));
    }

    #[test]
    fn wide_characters_count_as_two_columns() {
        let rows = [["通义千问".to_owned()], ["é".to_owned()]];
        assert_eq!(
            table(["Name"], &rows),
            "┌──────────┐\n│ Name     │\n├──────────┤\n│ 通义千问 │\n│ é        │\n└──────────┘"
        );
    }

    #[test]
    fn an_empty_table_is_rendered() {
        assert_eq!(table(["Id"], &[]), "┌────┐\n│ Id │\n├────┤\n└────┘");
    }
}
