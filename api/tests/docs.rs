//! The protocol page's table of codes is the code's table.

use sealpost_api::problem::ProblemCode;

#[test]
fn every_problem_code_stands_in_the_protocol_page_with_its_status() {
    let page = include_str!("../../docs/protocol.md");
    let table = page.split("<!-- codes -->").nth(1).unwrap().split("<!-- /codes -->").next().unwrap();
    for code in ProblemCode::ALL {
        let row = format!("| `{}` | {} |", code.as_str(), code.status());
        assert!(table.contains(&row), "docs/protocol.md lacks {row}");
    }
    assert_eq!(table.matches("\n| `").count(), ProblemCode::ALL.len(), "the page has a code that is no more");
}
