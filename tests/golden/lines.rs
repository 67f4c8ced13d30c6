//! What differs between two texts, line by line.

/// The lines that only the first has, with `-`, and those that only the second has, with `+`, each
/// group below the last line that both have.
pub fn difference(first: &str, second: &str) -> String {
    let (first, second): (Vec<&str>, Vec<&str>) =
        (first.lines().collect(), second.lines().collect());
    let common = common_lengths(&first, &second);
    let (mut i, mut j) = (0, 0);
    let mut text = String::new();
    let mut last_common = None;
    while i < first.len() || j < second.len() {
        if i < first.len() && j < second.len() && first[i] == second[j] {
            last_common = Some(first[i]);
            (i, j) = (i + 1, j + 1);
            continue;
        }
        if let Some(line) = last_common.take() {
            text += &format!("  {line}\n");
        }
        if j == second.len() || i < first.len() && common[i + 1][j] >= common[i][j + 1] {
            text += &format!("- {}\n", first[i]);
            i += 1;
        } else {
            text += &format!("+ {}\n", second[j]);
            j += 1;
        }
    }
    text
}

/// For each pair of places, how many lines the rests from there have in common, in order.
fn common_lengths(first: &[&str], second: &[&str]) -> Vec<Vec<usize>> {
    let mut lengths = vec![vec![0; second.len() + 1]; first.len() + 1];
    for i in (0..first.len()).rev() {
        for j in (0..second.len()).rev() {
            lengths[i][j] = if first[i] == second[j] {
                lengths[i + 1][j + 1] + 1
            } else {
                lengths[i + 1][j].max(lengths[i][j + 1])
            };
        }
    }
    lengths
}

#[test]
fn only_what_differs_is_shown_below_what_does_not() {
    let text = difference("a\nb\nc\nd", "a\nb\nx\nd\ne");
    assert_eq!(text, "  b\n- c\n+ x\n  d\n+ e\n");
}
