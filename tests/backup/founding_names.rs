//! Sessions that clients named, over foundings.

use serde_json::{Value, json};

use crate::bank::SERVERS;
use crate::founded::{New, Old};
use crate::support::cluster::Client;
use crate::support::process::Bank;
use crate::told::{Told, program};

/// Opens the name, and pays 1 under this number; the highest number that the server knew, and what it says.
fn pays_by_name(bank: &Bank, number: u64) -> (u64, Value) {
    let mut client = Client::try_connect(bank.address("A")).unwrap();
    let opened = client.ask(&json!({"session": {"name": "invoices"}}));
    let highest = opened["highest"].as_u64().unwrap_or_else(|| panic!("{opened}"));
    let pays = json!({"to": "B", "amount": 1, "session": opened["session"], "number": number});
    let reply = client.ask(&json!({"transfer": pays}));
    (highest, reply["outcome"].clone())
}

/// Bug: names began anew in a bank that was founded from a backup, so a service that said "last 0" once more, or counted
/// on after a crash, paid twice what was in the balances.
#[test]
fn a_name_goes_on_over_two_foundings_and_no_number_pays_twice() {
    let mut old = Old::bank();
    assert_eq!(pays_by_name(&old.archived.bank, 1), (0, json!("accepted")));
    old.archived.bank.settle();
    assert_eq!(pays_by_name(&old.archived.bank, 2), (1, json!("accepted")));
    let a = old.back_up("A");
    // After the backup, and so lost.
    assert_eq!(pays_by_name(&old.archived.bank, 3), (2, json!("accepted")));
    SERVERS.iter().for_each(|id| old.archived.bank.kill(id));
    let mut second = New::founded(&[&a]);
    for life in 0..2 {
        let before = second.balance("A");
        for number in [1, 2] {
            let (highest, outcome) = pays_by_name(&second.bank, number);
            assert!(highest >= 2 && outcome == json!("expired"), "{life}: {outcome}");
        }
        assert_eq!(second.balance("A"), before);
        assert_eq!(pays_by_name(&second.bank, 3 + life).1, json!("accepted"));
        second.bank.settle();
        SERVERS.iter().for_each(|id| second.bank.kill(id));
        second.bank.start_all();
    }
    let (status, report) = second.audit(&[&a]);
    assert_eq!(status, 0, "{report:#}");
    SERVERS.iter().for_each(|id| second.bank.kill(id));
    let dir = old.root.path().join("second");
    let url = second.bank.redis("B").url();
    let told =
        Told::of(program(&["backup", "--id", "B", "--redis", &url]).arg(&dir).output().unwrap());
    assert_eq!(told.status, 0, "{told:?}");
    let mut third = New::founded(&[&dir]);
    assert_eq!(pays_by_name(&third.bank, 1), (4, json!("expired")));
    assert_eq!(pays_by_name(&third.bank, 4), (4, json!("expired")));
    assert_eq!(pays_by_name(&third.bank, 5), (4, json!("accepted")));
    let (status, report) = third.audit(&[&a, &dir]);
    assert_eq!(status, 0, "{report:#}");
}
