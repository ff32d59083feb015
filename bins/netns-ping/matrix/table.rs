//! The matrix as a table that fits the terminal, or 80 columns: with times where there is room, else with a letter for each.
//! Pure.

use std::time::Duration;

use common::output::one_line;
use common::sign::ELLIPSIS;

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

/// Where there is no terminal.
const COLUMNS: usize = 80;
/// Names are cut to so many letters, and to so many where there is less room.
const NAMES: [usize; 2] = [20, 10];
/// `0.040`, `1234.567` is rare; and a gap.
const WIDE: usize = 8;

/// The columns before those of the others.
#[derive(Debug, Clone, Copy)]
struct Margin {
    digits: usize,
    name: usize,
}

/// A row for each container: its name, its gateway, all others. Where not even letters fit, a line says so.
pub fn table(names: &[String], gateways: &[Cell], cells: &[Vec<Cell>], columns: Option<usize>) -> String {
    let (columns, count) = (columns.unwrap_or(COLUMNS), names.len());
    let digits = count.to_string().len();
    let longest = names.iter().map(|name| one_line(name).chars().count()).max().unwrap_or(0);
    let margin = |most| Margin { digits, name: longest.clamp(4, most) };
    let before = |margin: Margin| margin.digits + 1 + margin.name + 2;
    let mut text = String::new();
    let fits = |most: &usize, others: usize| before(margin(*most)) + others <= columns;
    if let Some(most) = NAMES.iter().find(|most| fits(most, WIDE * (1 + count))) {
        text += &wide(names, gateways, cells, margin(*most));
        text += "ms; lost; - no network in common\n";
    } else if let Some(most) = NAMES.iter().find(|most| fits(most, 4 + count)) {
        text += &narrow(names, gateways, cells, margin(*most));
        text += "o reached  X lost\n- no network in common  . itself\n";
    } else {
        return format!("{count} containers: too many for a table\n");
    }
    if names.iter().any(|name| name.contains(" +")) {
        text += "+1: and one that shares its network\n";
    }
    text
}

fn wide(names: &[String], gateways: &[Cell], cells: &[Vec<Cell>], margin: Margin) -> String {
    let Margin { digits, name } = margin;
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
        text += &format!("{number:digits$} {:name$}  {row}\n", short(label, name));
    }
    text
}

fn narrow(names: &[String], gateways: &[Cell], cells: &[Vec<Cell>], margin: Margin) -> String {
    let Margin { digits, name } = margin;
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
        text += &format!("{number:digits$} {:name$}  {}   {row}\n", short(label, name), letter(gateway));
    }
    text
}

fn short(name: &str, most: usize) -> String {
    let name = one_line(name);
    match name.char_indices().nth(most) {
        Some(_) => {
            let begins: String = name.chars().take(most.saturating_sub(ELLIPSIS.width())).collect();
            format!("{begins}{ELLIPSIS}")
        }
        None => name.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACHED: Cell = Cell::Reached(Duration::from_micros(40));

    fn of(count: usize, columns: usize) -> String {
        let names: Vec<String> = (0..count).map(|number| format!("container-{number}")).collect();
        let row = |from| (0..count).map(|to| if to == from { Cell::Itself } else { REACHED }).collect();
        let cells: Vec<Vec<Cell>> = (0..count).map(row).collect();
        table(&names, &vec![REACHED; count], &cells, Some(columns))
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
            table(&names, &[REACHED, Cell::Lost, Cell::Nothing], &cells, None),
            "  FROM                   GATEWAY       1       2       3\n\
             1 web                      0.040       .   0.040    lost\n\
             2 db                        lost   0.040       .       -\n\
             3 a-name-that-is-long…         -    lost       ?       .\n\
             ms; lost; - no network in common\n"
        );
    }

    #[test]
    fn fifty_have_letters_and_all_tables_fit() {
        assert!(of(50, 80).contains(" 1 container-0   o   .ooooo"), "{}", of(50, 80));
        for (columns, count) in
            [80, 40, 132].iter().flat_map(|columns| (0..140).map(move |count| (*columns, count)))
        {
            let text = of(count, columns);
            assert!(text.lines().all(|line| line.chars().count() <= columns), "{columns} {count}:\n{text}");
        }
        assert_eq!(of(99, 80), "99 containers: too many for a table\n");
    }

    #[test]
    fn forty_columns_have_shorter_names_and_letters() {
        assert!(of(2, 40).contains("0.040"), "{}", of(2, 40));
        assert!(of(4, 40).contains("1 container-0  o   .ooo\n"), "{}", of(4, 40));
        let names = ["a-name-that-is-longer-than-others +1", "db"].map(str::to_owned);
        let cells = [vec![Cell::Itself, REACHED], vec![REACHED, Cell::Itself]];
        assert_eq!(
            table(&names, &[REACHED, REACHED], &cells, Some(40)),
            "  FROM         GATEWAY       1       2\n\
             1 a-name-th…     0.040       .   0.040\n\
             2 db             0.040   0.040       .\n\
             ms; lost; - no network in common\n\
             +1: and one that shares its network\n"
        );
    }
}
