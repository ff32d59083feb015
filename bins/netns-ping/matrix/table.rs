//! The matrix as a table that fits 80 columns: with times where there is room, else with a letter for each. Pure.

use std::time::Duration;

use common::output::one_line;

use crate::report::Ms;

/// What stands in one place of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    Reached(Duration),
    Lost,
    /// Both have no network in common, or there is no gateway.
    Nothing,
    /// It was not asked for, because the matrix was stopped.
    Unknown,
    Itself,
}

const COLUMNS: usize = 80;
const NAME: usize = 20;
/// `0.040`, `1234.567` is rare; and a gap.
const WIDE: usize = 8;

/// A row for each container: its name, its gateway, all others. Empty where not even letters fit.
pub fn table(names: &[String], gateways: &[Cell], cells: &[Vec<Cell>]) -> String {
    let digits = names.len().to_string().len();
    let name = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).clamp(4, NAME);
    let before = digits + 1 + name + 2;
    if before + WIDE * (1 + names.len()) <= COLUMNS {
        return wide(names, gateways, cells, (digits, name));
    }
    if before + 4 + names.len() <= COLUMNS {
        return narrow(names, gateways, cells, (digits, name));
    }
    String::new()
}

fn wide(names: &[String], gateways: &[Cell], cells: &[Vec<Cell>], (digits, name): (usize, usize)) -> String {
    let word = |cell: &Cell| match cell {
        Cell::Reached(took) => Ms(*took).to_string(),
        Cell::Lost => "lost".to_owned(),
        Cell::Nothing => "-".to_owned(),
        Cell::Unknown => "?".to_owned(),
        Cell::Itself => ".".to_owned(),
    };
    let numbers: String = (1..=names.len()).map(|number| format!("{number:>WIDE$}")).collect();
    let mut text = format!("{:digits$} {:name$}  {:>WIDE$}{numbers}\n", "", "FROM", "GATEWAY");
    for (number, ((label, gateway), row)) in (1..).zip(names.iter().zip(gateways).zip(cells)) {
        let row: String =
            [gateway].into_iter().chain(row).map(|cell| format!("{:>WIDE$}", word(cell))).collect();
        text += &format!("{number:digits$} {:name$}  {row}\n", short(label));
    }
    text + "ms; lost; - no network in common\n"
}

fn narrow(
    names: &[String],
    gateways: &[Cell],
    cells: &[Vec<Cell>],
    (digits, name): (usize, usize),
) -> String {
    let letter = |cell: &Cell| match cell {
        Cell::Reached(_) => 'o',
        Cell::Lost => 'X',
        Cell::Nothing => '-',
        Cell::Unknown => '?',
        Cell::Itself => '.',
    };
    let numbers: String = (1..=names.len()).map(|number| char::from(b'0' + (number % 10) as u8)).collect();
    let mut text = format!("{:digits$} {:name$}  GW  {numbers}\n", "", "FROM");
    for (number, ((label, gateway), row)) in (1..).zip(names.iter().zip(gateways).zip(cells)) {
        let row: String = row.iter().map(letter).collect();
        text += &format!("{number:digits$} {:name$}  {}   {row}\n", short(label), letter(gateway));
    }
    text + "o reached  X lost  - no network in common  . itself\n"
}

fn short(name: &str) -> String {
    let name = one_line(name);
    match name.char_indices().nth(NAME) {
        Some(_) => name.chars().take(NAME - 1).chain(['…']).collect(),
        None => name.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACHED: Cell = Cell::Reached(Duration::from_micros(40));

    fn of(count: usize) -> String {
        let names: Vec<String> = (0..count).map(|number| format!("container-{number}")).collect();
        let row = |from| (0..count).map(|to| if to == from { Cell::Itself } else { REACHED }).collect();
        let cells: Vec<Vec<Cell>> = (0..count).map(row).collect();
        table(&names, &vec![REACHED; count], &cells)
    }

    #[test]
    fn three_have_times() {
        let names = ["web", "db", "a-name-that-is-longer-than-others"].map(str::to_owned);
        let cells = [
            vec![Cell::Itself, REACHED, Cell::Lost],
            vec![REACHED, Cell::Itself, Cell::Nothing],
            vec![Cell::Lost, Cell::Unknown, Cell::Itself],
        ];
        assert_eq!(
            table(&names, &[REACHED, Cell::Lost, Cell::Nothing], &cells),
            "  FROM                   GATEWAY       1       2       3\n\
             1 web                      0.040       .   0.040    lost\n\
             2 db                        lost   0.040       .       -\n\
             3 a-name-that-is-long…         -    lost       ?       .\n\
             ms; lost; - no network in common\n"
        );
    }

    #[test]
    fn fifty_have_letters_and_all_tables_fit() {
        assert!(of(50).contains("1 container-0   o   .ooooo") || of(50).contains(" 1 container-0"));
        for count in 0..100 {
            let text = of(count);
            assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{count}:\n{text}");
        }
        assert_eq!(of(99), "");
    }
}
