//! Tables with borders for the terminal.

use std::borrow::Cow;

/// Maximum width of a cell in characters; longer texts are cut.
const MAX_CELL: usize = 50;

/// Renders rows below a header row.
pub(super) fn table<const WIDTH: usize>(heads: [&str; WIDTH], rows: &[[String; WIDTH]]) -> String {
    let rows: Vec<[String; WIDTH]> = std::iter::once(heads.map(str::to_owned))
        .chain(rows.iter().map(|row| row.each_ref().map(|text| cell(text))))
        .collect();
    let widths: [usize; WIDTH] = std::array::from_fn(|column| {
        rows.iter().map(|row| row.get(column).map_or(0, |text| text.chars().count())).max().unwrap_or_default()
    });
    let border = |left: &str, middle: &str, right: &str| {
        format!("{left}{}{right}", widths.map(|width| "─".repeat(width + 2)).join(middle))
    };
    let mut lines = vec![border("┌", "┬", "┐")];
    for (at, row) in rows.iter().enumerate() {
        if at == 1 {
            lines.push(border("├", "┼", "┤"));
        }
        let cells: Vec<String> = row.iter().zip(widths).map(|(text, width)| format!(" {text:width$} ")).collect();
        lines.push(format!("│{}│", cells.join("│")));
    }
    lines.push(border("└", "┴", "┘"));
    lines.join("\n")
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
    fn an_empty_table_is_rendered() {
        assert_eq!(table(["Id"], &[]), "┌────┐\n│ Id │\n└────┘");
    }
}
